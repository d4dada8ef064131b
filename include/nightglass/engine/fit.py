"""Fit a detector on good images: memory bank, patch bank, calibration and reference."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.detector.backends import patches_of
from nightglass.detector.calibration import calibrate
from nightglass.detector.detector import Detector, Reference
from nightglass.detector.files import NETWORK, Description, save_detector_files
from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.night_space import project
from nightglass.detector.patch_bank import build_patch_bank
from nightglass.detector.reference import reference_statistics
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.top_anomalies import make_thumbnail
from nightglass.errors import AccessDeniedError, InputError, ModelError, NightglassError
from nightglass.images.manifest import Manifest
from nightglass.images.reading import ImageRow
from nightglass.storage import Folder

Floats = NDArray[np.float32]
MIN_GOOD_IMAGES = 10
_HELD_OUT_IMAGES = 64
_REFERENCE_EMBEDDINGS = 2000
_THUMBNAIL_SIDE = 128
_LITTLE_SPACE = 64 * 1024 * 1024
_STATISTIC_NAMES = ("brightness", "contrast", "sharpness", "colourfulness")


@dataclass
class _Collected:
    """What one pass over the good images leaves."""

    rows: list[ImageRow] = field(default_factory=list)
    embeddings: list[Floats] = field(default_factory=list)
    statistics: list[Floats] = field(default_factory=list)
    patches: list[Floats] = field(default_factory=list)
    held_out: list[Floats] = field(default_factory=list)
    thumbnails: list[bytes] = field(default_factory=list)
    quarantined: int = 0


@dataclass(frozen=True)
class Fitted:
    """A fitted detector, its description, and what it was fitted on."""

    description: Description
    images: int
    quarantined: int


def fit_detector(
    images: Folder,
    manifest: Manifest,
    rows: list[ImageRow],
    collection: Collection,
    out: Path,
    *,
    workers: int,
    times: StageTimes,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Fit a detector on ``rows`` and write it to the folder ``out``, whole or not at all.

    Args:
        images: The folder of the images.
        manifest: Its manifest, for sizes and the data version.
        rows: The good images among them; contents that occur twice count once.
        collection: Its detector and reading options.
        out: Where the detector goes; must not exist, or be an older detector.
        workers: Threads.
        times: Where busy times are added.
        progress: Called with the number of images of every finished batch.

    Raises:
        ModelError: There are too few good images.
        InputError: ``out`` exists and is no detector, or the backbone is unknown.
    """
    out = out.resolve()
    options = collection.detector
    unique = list({row.sha256: row for row in reversed(rows)}.values())[::-1]
    if len(unique) < MIN_GOOD_IMAGES:
        raise ModelError(f"fit: expected at least {MIN_GOOD_IMAGES} different good images, got {len(unique)}")
    with _replacing(out) as folder:
        import safetensors.torch

        from nightglass.detector.backends import OpenVINOBackend
        from nightglass.detector.network import EmbeddingNetwork, export_openvino

        with times.measure("export"):
            network = EmbeddingNetwork(options.backbone)
            export_openvino(network, options.backbone.image_size, folder / NETWORK)
            safetensors.torch.save_file(network.backbone.state_dict(), folder / "backbone.safetensors")
            del network
        backend = OpenVINOBackend(folder / NETWORK, workers)
        size = options.backbone.image_size
        with Pipeline(images, backend, size, collection.scoring, workers=workers, times=times) as pipeline:
            found = _collect(pipeline, unique, manifest, collection, progress)
        with times.measure("build"):
            detector = _build(found, manifest, collection, folder / NETWORK)
            description = save_detector_files(detector, folder)
    return Fitted(description, len(found.rows), found.quarantined)


def _collect(
    pipeline: Pipeline,
    rows: list[ImageRow],
    manifest: Manifest,
    collection: Collection,
    progress: Callable[[int], None] | None,
) -> _Collected:
    options = collection.detector
    found = _Collected()
    sizes = {row["path"]: row for row in manifest.table.select(["path", "width", "height"]).to_pylist()}
    random = np.random.default_rng(options.seed)
    in_bank = _choose(random, len(rows), options.max_bank_images)
    held_out = _choose(random, len(rows), min(_HELD_OUT_IMAGES, len(rows) // 4))
    rows_needed = [rows[i] for i in sorted({*in_bank, *held_out})]
    patches_per_image = -(-options.patch_bank_size // max(1, len(rows_needed) - len(held_out)))
    chosen = {rows[i].path for i in in_bank}
    unseen = {rows[i].path for i in held_out}
    for batch in pipeline.embed(rows_needed, patches=True):
        found.quarantined += len(batch.quarantined)
        for i, row in enumerate(batch.rows):
            patches = patches_of(batch.embedded, i)
            if row.path in unseen:
                found.held_out.append(patches)
            else:
                places = patches.reshape(len(patches), -1)
                kept = random.permutation(places.shape[1])[:patches_per_image]
                found.patches.append(np.ascontiguousarray(places[:, kept].T))
            if row.path in chosen:
                found.rows.append(row)
                found.embeddings.append(batch.embedded.embedding[i].copy())
                found.statistics.append(batch.embedded.statistics[i].copy())
                width, height = sizes[row.path]["width"], sizes[row.path]["height"]
                found.thumbnails.append(make_thumbnail(batch.pixels[i], width, height, _THUMBNAIL_SIDE))
        if progress:
            progress(len(batch.rows) + len(batch.quarantined))
    if len(found.rows) < MIN_GOOD_IMAGES:
        raise ModelError(
            f"fit: expected at least {MIN_GOOD_IMAGES} good images that can be decoded, got {len(found.rows)}"
        )
    return found


def _build(found: _Collected, manifest: Manifest, collection: Collection, network_path: Path) -> Detector:
    options = collection.detector
    embeddings = np.stack(found.embeddings)
    standardization = Standardization.of(embeddings)
    standardized = standardization.apply(embeddings)
    bank = MemoryBank.build(standardized)
    held_out = bank.search_others(options.num_neighbors).mean(axis=1)
    calibration = calibrate(held_out, options.false_alarm_rate)
    statistics = np.stack(found.statistics)
    values = {name: statistics[:, i] for i, name in enumerate(_STATISTIC_NAMES)}
    random = np.random.default_rng(options.seed)
    sample = _choose(random, len(embeddings), _REFERENCE_EMBEDDINGS)
    samples = np.concatenate(found.patches)
    places = _choose(random, len(samples), options.patch_bank_size)
    return Detector(
        options=options,
        standardization=standardization,
        bank=bank,
        calibration=calibration,
        patch_bank=build_patch_bank(samples[places], found.held_out),
        reference=Reference(
            reference_statistics(values | {"image_score": calibration.score(held_out)}, collection.drift.bins),
            project(standardized[sample]),
        ),
        bank_images=pa.table(
            {
                "path": [row.path for row in found.rows],
                "sha256": [row.sha256 for row in found.rows],
                "thumbnail": pa.array(found.thumbnails, pa.binary()),
            }
        ),
        data_version=manifest.data_version,
        fingerprint="",
        network_path=network_path,
    )


def _choose(random: np.random.Generator, total: int, count: int) -> list[int]:
    """Return ``count`` of ``total`` row numbers, in order; all of them when there are fewer."""
    return sorted(random.permutation(total)[:count].tolist())


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Give an empty folder beside ``out`` that takes its place when the block ends well."""
    if out.exists() and not (out / "detector.json").is_file() and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out}: expected a new folder or an older detector, got something else; not overwritten")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise AccessDeniedError(f"{out}: cannot write there ({error.strerror})") from error
    try:
        yield folder
        folder.chmod(0o755)
        old = out.with_name(f".{out.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        folder.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise AccessDeniedError(f"{out}: cannot write there ({error.strerror or error})") from error
    except Exception as error:
        # safetensors, OpenVINO and FAISS do not tell a full disk from other faults.
        if not isinstance(error, NightglassError) and shutil.disk_usage(folder).free < _LITTLE_SPACE:
            raise AccessDeniedError(f"{out}: cannot write there (No space left on device)") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
