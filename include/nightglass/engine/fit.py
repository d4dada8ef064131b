"""Fit a detector on good images: memory bank, patch bank, calibration and reference."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.detector.backends import open_backend
from nightglass.detector.calibration import calibrate
from nightglass.detector.detector import Detector, Reference
from nightglass.detector.files import NETWORK, Description, save_detector_files
from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.night_space import project
from nightglass.detector.patch_bank import PatchSample, build_patch_bank
from nightglass.detector.reference import reference_statistics
from nightglass.engine.pipeline import EmbeddedBatch, Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.top_anomalies import make_thumbnail
from nightglass.errors import AccessDeniedError, InputError, ModelError, NightglassError
from nightglass.images.manifest import Manifest
from nightglass.images.reading import ImageRow
from nightglass.images.statistics import STATISTICS
from nightglass.storage import Folder

Floats = NDArray[np.float32]
MIN_GOOD_IMAGES = 10
_CALIBRATION_IMAGES = 2000
_PLACES_LOOKED_AT = 20_000  # that the bank's places are chosen from
_REFERENCE_EMBEDDINGS = 2000
_THUMBNAIL_SIDE = 128
_LITTLE_SPACE = 64 * 1024 * 1024


@dataclass
class _Collected:
    """What one pass over the good images leaves."""

    rows: list[ImageRow] = field(default_factory=list)
    embeddings: list[Floats] = field(default_factory=list)
    statistics: list[Floats] = field(default_factory=list)
    places: list[Floats] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    held_out: dict[int, NDArray[np.float16]] = field(default_factory=dict)
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

        from nightglass.detector.network import EmbeddingNetwork, export_openvino

        with times.measure("export"):
            network = EmbeddingNetwork(options.backbone)
            export_openvino(network, options.backbone.image_size, folder / NETWORK)
            safetensors.torch.save_file(network.backbone.state_dict(), folder / "backbone.safetensors")
            del network
        backend = open_backend(folder / NETWORK, options.backbone, workers, options.precision)
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
    needed = [rows[i] for i in _choose(random, len(rows), options.max_bank_images)]
    calibrating = {needed[i].path for i in _choose(random, len(needed), _CALIBRATION_IMAGES)}
    places_per_image = -(-max(_PLACES_LOOKED_AT, options.patch_bank_size) // len(needed))
    for batch in pipeline.embed(needed):
        found.quarantined += len(batch.quarantined)
        for i, row in enumerate(batch.rows):
            patches = batch.embedded.patches[i]
            number = len(found.rows)
            if row.path in calibrating:
                found.held_out[number] = patches.astype(np.float16)
            places = patches.reshape(len(patches), -1)
            kept = random.permutation(places.shape[1])[:places_per_image]
            found.places.append(np.ascontiguousarray(places[:, kept].T))
            found.owners.extend([number] * len(kept))
            _keep_image(found, batch, i, (sizes[row.path]["width"], sizes[row.path]["height"]))
        if progress:
            progress(len(batch.rows) + len(batch.quarantined))
    if len(found.rows) < MIN_GOOD_IMAGES:
        raise ModelError(
            f"fit: expected at least {MIN_GOOD_IMAGES} good images that can be decoded, got {len(found.rows)}"
        )
    return found


def _keep_image(found: _Collected, batch: EmbeddedBatch, number: int, size: tuple[int, int]) -> None:
    found.rows.append(batch.rows[number])
    found.embeddings.append(batch.embedded.embedding[number].copy())
    found.statistics.append(batch.statistics[number].copy())
    found.thumbnails.append(make_thumbnail(batch.pixels[number], *size, _THUMBNAIL_SIDE))


def _build(found: _Collected, manifest: Manifest, collection: Collection, network_path: Path) -> Detector:
    options = collection.detector
    embeddings = np.stack(found.embeddings)
    standardization = Standardization.of(embeddings)
    standardized = standardization.apply(embeddings)
    bank = MemoryBank.build(standardized)
    patch_bank, patch_distances = build_patch_bank(
        PatchSample(np.concatenate(found.places), np.array(found.owners)),
        options.patch_bank_size,
        found.held_out,
        options.false_alarm_rate,
        options.seed,
    )
    image_distances = bank.search_others(options.num_neighbors).mean(axis=1)[list(found.held_out)]
    calibration = calibrate(image_distances, patch_distances, options.false_alarm_rate)
    statistics = np.stack(found.statistics)
    values: dict[str, NDArray[np.floating[Any]]] = {name: statistics[:, i] for i, name in enumerate(STATISTICS)}
    values["image_score"] = calibration.score(image_distances, patch_distances)
    sample = _choose(np.random.default_rng(options.seed), len(embeddings), _REFERENCE_EMBEDDINGS)
    return Detector(
        options=options,
        standardization=standardization,
        bank=bank,
        calibration=calibration,
        patch_bank=patch_bank,
        reference=Reference(
            reference_statistics(values, collection.drift.bins),
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
