"""How long each stage was busy, summed over its threads: what limits a run; and how long an image takes."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

#: What the computing threads spend their time on, and its name for people; ``wait`` is for files still being read.
WORKING_STAGES = {"wait": "reading", "decode": "decoding", "embed": "the network", "search": "the search"}


#: Of a batch: seconds an image, and how many images.
BatchTime = tuple[float, int]


class StageTimes:
    """Busy seconds per stage, and of each batch the seconds an image; safe to use from several threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._batches: list[BatchTime] = []
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the wall time of the block to ``stage``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            with self._lock:
                self._seconds[stage] = self._seconds.get(stage, 0.0) + elapsed

    def note_batch(self, seconds: float, images: int) -> None:
        """Note the wall time that one thread worked on a batch, as seconds an image."""
        with self._lock:
            self._batches.append((round(seconds / images, 6), images))

    def take_batches(self) -> list[BatchTime]:
        """Return what was noted of batches since the last call."""
        with self._lock:
            taken, self._batches = self._batches, []
        return taken

    def seconds(self) -> dict[str, float]:
        """Return the busy seconds per stage, rounded to microseconds: a shard may be a few small files."""
        with self._lock:
            return {stage: round(seconds, 6) for stage, seconds in sorted(self._seconds.items())}


def add_seconds(*parts: Mapping[str, float]) -> dict[str, float]:
    """Return the sum of seconds per stage."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return {stage: round(seconds, 6) for stage, seconds in sorted(total.items())}


def image_seconds(batches: Sequence[BatchTime]) -> dict[str, float] | None:
    """Return the seconds that half (``p50``) and 95 % (``p95``) of the images stayed below or met; None without any.

    An image's seconds are its batch's, divided by the batch's images: one thread's wall time, waiting for the file
    counted in. As many images as threads are worked on at once.
    """
    total = sum(images for _, images in batches)
    return {f"p{share}": _quantile(batches, total * share / 100) for share in (50, 95)} if total else None


def _quantile(batches: Sequence[BatchTime], rank: float) -> float:
    ordered = sorted(batches)
    seen = accumulate(images for _, images in ordered)
    return next(seconds for (seconds, _), images in zip(ordered, seen, strict=True) if images >= rank)


def name_limit(seconds: Mapping[str, float]) -> str | None:
    """Return what the computing threads spent most of their time on, in words; None when they did nothing."""
    stage = max(WORKING_STAGES, key=lambda stage: seconds.get(stage, 0.0))
    return WORKING_STAGES[stage] if seconds.get(stage) else None


def count_workers() -> int:
    """Return how many processors this process may use, a container's quota counted in."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return count
