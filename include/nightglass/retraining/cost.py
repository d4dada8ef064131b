"""What a model costs, measured in a process of its own: time for one image, cold start, memory, disk.

Run as a program it measures one detector and prints a `Measured` as JSON; nobody but `measure_costs` calls it.
"""

import json
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
_TIMED = 40  # images one after the other, after the first
_ROUNDS = 2
_MOST_ROUNDS = 5
_TIMEOUT_SECONDS = 600


class Job(Record):
    """What one process measures; ``started_at`` is `time.monotonic` just before it was started."""

    detector: str
    images: list[str]
    max_pixels: int
    workers: int
    device: Device
    started_at: float


def measure_costs(
    champion: Detector,
    challenger: Detector,
    images: Folder | Folders,
    rows: Sequence[ImageRow],
    collection: Collection,
    workers: int,
) -> tuple[Cost, Cost]:
    """Measure both models on the same images, one image at a time.

    The processes of both take turns, and the better of each counts, as other programs on the machine only ever slow one
    down. Where a gate would not be met they take a few more turns, for the same reason.

    Raises:
        InputError: No image can be read.
        ModelError: A process fails.
    """
    detectors = (champion, challenger)
    with tempfile.TemporaryDirectory(prefix="nightglass-cost-") as folder:
        files = _copy_images(images, rows, Path(folder), collection.scoring.max_file_bytes)
        best: list[Cost] = []
        for turn in range(_MOST_ROUNDS):
            found = [_measure(detector, files, collection, workers) for detector in detectors]
            best = [_better(*pair) for pair in zip(best, found, strict=True)] if best else found
            limits_met = all(gate.passed for gate in judge_costs(best[0], best[1], collection.retraining.gates))
            if turn + 1 >= _ROUNDS and limits_met:
                break
    return best[0], best[1]


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


def _measure(detector: Detector, files: list[str], collection: Collection, workers: int) -> Cost:
    folder = detector.network_path.parent
    job = Job(
        detector=str(folder),
        images=files,
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
    found = json.loads(done.stdout.strip().splitlines()[-1])
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Cost(**found, size_mb=size / 1e6)


def _better(first: Cost, second: Cost) -> Cost:
    pairs = zip(first.model_dump().items(), second.model_dump().values(), strict=True)
    return Cost(**{name: min(one, other) for (name, one), other in pairs})


def _run(job: Job) -> dict[str, float]:
    """Score one image at a time; return all of a `Cost` but its size."""
    from threadpoolctl import threadpool_limits

    from nightglass.detector.files import load_detector
    from nightglass.images.decoding import ImageLimits, decode_rgb, let_limits_decide

    let_limits_decide()
    limits = ImageLimits(job.max_pixels, check_suffix=False)
    detector = load_detector(Path(job.detector))
    backend = detector.open_backend(job.workers, job.device)
    size = detector.options.backbone.image_size
    contents = [Path(file).read_bytes() for file in job.images]
    milliseconds: list[float] = []
    with threadpool_limits(1, "blas"):
        for turn in range(_TIMED + 1):
            start = time.perf_counter()
            pixels = decode_rgb(contents[turn % len(contents)], "image", limits, size)
            detector.score(backend.embed(pixels[None]))
            milliseconds.append((time.perf_counter() - start) * 1000)
            if not turn:
                cold_start = time.monotonic() - job.started_at
    p50, p95 = np.percentile(milliseconds[1:], [50, 95])
    return {
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "cold_start_seconds": cold_start,
        "peak_rss_mb": _peak_rss_mb(),
    }


def _peak_rss_mb() -> float:
    """Return the most memory that this process held; getrusage would count its parent's in, from before the exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ModelError("/proc/self/status: expected VmHWM, got none; cost is measured on Linux only")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_run(Job.model_validate_json(sys.argv[1]))) + "\n")
