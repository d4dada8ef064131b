"""What a model costs, measured in a process of its own: time for one image, cold start, memory, disk.

Run as a program it measures one detector and prints a `Measured` as JSON; nobody but `measure_costs` calls it.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nightglass.collections import Collection, Device
from nightglass.detector.detector import Detector
from nightglass.errors import InputError, ModelError
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import ImageRow, read_image
from nightglass.records import Record
from nightglass.retraining.cost_gates import judge_costs
from nightglass.retraining.records import Cost
from nightglass.storage import Folder, Folders

_IMAGES = 24
_TIMED = 48  # images one after the other, after the first
_ROUNDS = 2
_MOST_ROUNDS = 6
_TIMEOUT_SECONDS = 600


class Job(Record):
    """What one process measures: ``timed`` images after the first; ``started_at`` is `time.monotonic` before it."""

    detector: str
    images: list[str]
    timed: int
    max_pixels: int
    workers: int
    device: Device
    started_at: float


class Measured(Record):
    """What one process measured, or the best of several; ``image_ms`` is the shortest time of each image."""

    image_ms: list[float]
    cold_start_seconds: float
    peak_rss_mb: float

    def better_with(self, other: "Measured") -> "Measured":
        """Return the best of both, image by image."""
        return Measured(
            image_ms=[min(pair) for pair in zip(self.image_ms, other.image_ms, strict=True)],
            cold_start_seconds=min(self.cold_start_seconds, other.cold_start_seconds),
            peak_rss_mb=min(self.peak_rss_mb, other.peak_rss_mb),
        )

    def cost(self, detector: Detector) -> Cost:
        """Return the figures that are judged."""
        p50, p95 = np.percentile(self.image_ms, [50, 95])
        files = detector.network_path.parent.rglob("*")
        return Cost(
            p50_ms=float(p50),
            p95_ms=float(p95),
            cold_start_seconds=self.cold_start_seconds,
            peak_rss_mb=self.peak_rss_mb,
            size_mb=sum(file.stat().st_size for file in files if file.is_file()) / 1e6,
        )


def measure_costs(
    champion: Detector,
    challenger: Detector,
    images: Folder | Folders,
    rows: Sequence[ImageRow],
    collection: Collection,
    workers: int,
) -> tuple[Cost, Cost]:
    """Measure both models on the same images, one image at a time.

    The processes of both take turns, and of each image and figure the best counts, as other programs on the machine
    only ever slow one down. Where a gate would not be met they take a few more turns, for the same reason.

    Raises:
        InputError: No image can be read.
        ModelError: A process fails.
    """
    detectors = (champion, challenger)
    with tempfile.TemporaryDirectory(prefix="nightglass-cost-") as folder:
        files = _copy_images(images, rows, Path(folder), collection.scoring.max_file_bytes)
        best: list[Measured] = []
        for turn in range(_MOST_ROUNDS):
            found = [_measure(detector, files, collection, workers) for detector in detectors]
            best = [one.better_with(other) for one, other in zip(best, found, strict=True)] if best else found
            costs = (best[0].cost(champion), best[1].cost(challenger))
            if turn + 1 >= _ROUNDS and all(gate.passed for gate in judge_costs(*costs, collection.retraining.gates)):
                break
    return costs


def _copy_images(images: Folder | Folders, rows: Sequence[ImageRow], folder: Path, max_bytes: int) -> list[str]:
    files: list[str] = []
    for number in np.random.default_rng(0).permutation(len(rows)):
        try:
            data = read_image(images, rows[number].name_on_disk, max_bytes)
        except QuarantinedError:
            continue  # gone since it was scored; any other image will do
        file = folder / f"{len(files)}"
        file.write_bytes(data)
        files.append(str(file))
        if len(files) == _IMAGES:
            break
    if not files:
        raise InputError(f"{images.url}: expected to read one of {len(rows)} frozen images, got none")
    return files


def _measure(detector: Detector, files: list[str], collection: Collection, workers: int) -> Measured:
    folder = detector.network_path.parent
    job = Job(
        detector=str(folder),
        images=files,
        timed=_TIMED,
        max_pixels=collection.scoring.max_pixels,
        workers=workers,
        device=collection.scoring.device,
        started_at=time.monotonic(),  # one clock for all processes of a machine
    )
    # -P: the current folder's files are no modules.
    command = [sys.executable, "-P", "-m", "nightglass.retraining.cost", job.model_dump_json()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603 - our own module, no shell
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{folder}: expected its cost within {_TIMEOUT_SECONDS} s, got none yet") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing said"])[-1][:300]
        raise ModelError(f"{folder}: expected to measure its cost, the process ended with {done.returncode}: {said}")
    return Measured.model_validate_json(done.stdout.strip().splitlines()[-1])


def _run(job: Job) -> Measured:
    """Score one image at a time."""
    from threadpoolctl import threadpool_limits

    from nightglass.detector.files import load_detector
    from nightglass.images.decoding import ImageLimits, decode_rgb, let_limits_decide

    let_limits_decide()
    limits = ImageLimits(job.max_pixels, check_suffix=False)
    detector = load_detector(Path(job.detector))
    backend = detector.open_backend(job.workers, job.device)
    size = detector.options.backbone.image_size
    contents = [Path(file).read_bytes() for file in job.images]
    milliseconds: dict[int, float] = {}
    with threadpool_limits(1, "blas"):
        for turn in range(job.timed + 1):
            start = time.perf_counter()
            pixels = decode_rgb(contents[turn % len(contents)], "image", limits, size)
            detector.score(backend.embed(pixels[None]))
            spent = (time.perf_counter() - start) * 1000
            if turn:  # every image's shortest time counts, as other programs only ever slow one down
                place = turn % len(contents)
                milliseconds[place] = min(spent, milliseconds.get(place, spent))
            else:
                cold_start = time.monotonic() - job.started_at
    return Measured(
        image_ms=[milliseconds[place] for place in sorted(milliseconds)],
        cold_start_seconds=cold_start,
        peak_rss_mb=_peak_rss_mb(),
    )


def _peak_rss_mb() -> float:
    """Return the most memory that this process held; getrusage would count its parent's in, from before the exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ModelError("/proc/self/status: expected VmHWM, got none; cost is measured on Linux only")


if __name__ == "__main__":
    sys.stdout.write(_run(Job.model_validate_json(sys.argv[1])).model_dump_json() + "\n")
