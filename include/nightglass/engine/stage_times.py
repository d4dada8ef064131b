"""How long each stage was busy, summed over its threads: what limits a run."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: What the computing threads spend their time on, and its name for people; ``wait`` is for files still being read.
WORKING_STAGES = {"wait": "reading", "decode": "decoding", "embed": "the network", "search": "the search"}


class StageTimes:
    """Busy seconds per stage; safe to use from several threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
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
