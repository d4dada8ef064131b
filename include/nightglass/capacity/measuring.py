"""Costs measured here and now: drawn JPEGs, the default network, the engine itself."""

import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nightglass.capacity.drawn_images import draw_jpegs
from nightglass.capacity.stage_costs import StageCosts, share_stages
from nightglass.collections import Collection, Device, Scoring, default_collection
from nightglass.detector.detector import Detector
from nightglass.detector.files import load_detector
from nightglass.engine.fit import fit_detector
from nightglass.engine.merge import INDEX_NAME, SCORES_NAME
from nightglass.engine.score import ScoreJob, finish_scores, score_shards
from nightglass.engine.shards import Shard
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.top_anomalies import MAPS_FOLDER
from nightglass.engine.training import TrainingImages
from nightglass.engine.training_record import record_training
from nightglass.images.manifest import build_manifest
from nightglass.images.manifest_file import MANIFEST_NAME, write_manifest
from nightglass.storage import open_folder

_GOOD_IMAGES, _GOOD_MEGAPIXELS = 40, 0.05
_MOST_BYTES = 600_000_000  # of drawn images, as it is a temporary folder
_LEAST_IMAGES = 96  # fewer would be too few batches for the threads
_TOP_K = 10


def measure_costs(megapixels: float, *, device: Device, cores: int) -> StageCosts:
    """Fit a small detector, score drawn images of a size with it, and return what an image cost.

    It takes some seconds and a few hundred MB of the temporary folder. The detector's bank is a small one: a search
    in a full one takes somewhat longer.

    Args:
        megapixels: Of each image.
        device: What runs the network.
        cores: Threads, as a task has them.

    Raises:
        ModelError: The default network cannot be loaded, or there is no such device.
    """
    collection = default_collection("measured").model_copy(update={"scoring": Scoring(device=device)})
    with tempfile.TemporaryDirectory(prefix="nightglass-plan-") as name:
        folder = Path(name)
        detector = _fit(folder, collection, cores)
        images = _count_images(megapixels)
        (folder / "images").mkdir()
        draw_jpegs(folder / "images", images, megapixels)
        return _measure(folder, collection, detector, images, cores)


def _count_images(megapixels: float) -> int:
    """Return how many images take some seconds, of at most 600 MB but for very large ones."""
    by_time = max(_LEAST_IMAGES, 800 / (1 + 2 * megapixels))
    by_bytes = _MOST_BYTES / (300_000 * megapixels)
    return max(24, round(min(by_time, by_bytes)))


def _fit(folder: Path, collection: Collection, cores: int) -> Detector:
    (folder / "good").mkdir()
    draw_jpegs(folder / "good", _GOOD_IMAGES, _GOOD_MEGAPIXELS)
    good, times = open_folder(str(folder / "good")), StageTimes()
    manifest = build_manifest(good, collection.suffixes, collection.scoring, workers=cores)
    training = TrainingImages.sort(manifest.image_rows(), {})
    fit_detector(
        good,
        manifest,
        training,
        collection,
        folder / "detector",
        record=record_training(good, manifest, training),
        workers=cores,
        times=times,
    )
    return load_detector(folder / "detector")


def _measure(folder: Path, collection: Collection, detector: Detector, images: int, cores: int) -> StageCosts:
    job = ScoreJob(
        images=open_folder(str(folder / "images")),
        out=open_folder(str(folder / "scores")),
        detector=detector,
        model="drawn",
        collection=collection,
        workers=cores,
        top_k=_TOP_K,
    )
    clock = _open_clock(collection.scoring.device, cores)
    begun_at = clock()
    _ = job.backend.name  # waits until the network is loaded; an assert would be left out by python -O
    loaded_at = clock()
    # A night decodes 256 images for their brightness: nothing of a large one, and all of so few.
    manifest = build_manifest(
        job.images, collection.suffixes, collection.scoring, workers=cores, sample_brightness=False
    )
    listed_at = clock()
    write_manifest(manifest, job.out)
    shards = [Shard(0, 0, images)]
    scoring_at = clock()
    score_shards(job, manifest, shards, lambda *_: None)
    scored_at = clock()
    summary = finish_scores(job, manifest, shards)
    finished_at = clock()
    sizes = sum((folder / "scores" / name).stat().st_size for name in (MANIFEST_NAME, SCORES_NAME, INDEX_NAME))
    pictures = [path.stat().st_size for path in (folder / "scores" / MAPS_FOLDER).rglob("*") if path.is_file()]
    return StageCosts(
        source="measured",
        told=f"{images} drawn JPEGs on this machine ({name_machine()})",
        device=collection.scoring.device,
        cores=cores,
        images=images,
        megapixels=_mean_megapixels(manifest.table),
        image_bytes=sum(manifest.table["size_bytes"].to_pylist()) / images,
        list_seconds=(listed_at - loaded_at) / images,
        shard_seconds=(scored_at - scoring_at) / images,
        stage_shares=share_stages(summary["stage_seconds"]),
        load_seconds=(loaded_at - begun_at) * cores,  # hardly any of it is shared out
        finish_seconds=finished_at - scored_at,
        row_bytes=sizes / images,
        picture_bytes=sum(pictures) / _TOP_K,
    )


def _open_clock(device: Device, cores: int) -> Callable[[], float]:
    """Return a clock that other programs of a shared machine do not stop: this process's own time, shared out.

    Files come from memory here, so that no core waits; with a GPU they do, and only the time on the wall counts.
    """
    return time.perf_counter if device == "cuda" else lambda: time.process_time() / cores


def _mean_megapixels(listed: pa.Table) -> float:
    pixels = pc.multiply(listed["width"].cast("float64"), listed["height"].cast("float64"))
    return float(pc.mean(pixels).as_py()) / 1e6


def name_machine() -> str:
    """Return the processor of this machine, as its system calls it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
