"""Fit a detector on good images: memory bank, patch bank, calibration and reference."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nightglass.collections import Collection, Precision
from nightglass.detector.backends import WEIGHTS_NAME, open_backend
from nightglass.detector.calibration import calibrate, conformal_threshold
from nightglass.detector.detector import Detector, Reference
from nightglass.detector.files import NETWORK, TRAINING, Description, save_detector_files
from nightglass.detector.label_head_fit import HeadImages, fit_label_head
from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.night_space import DIMENSIONS, project
from nightglass.detector.patch_bank import PatchSample, build_patch_bank
from nightglass.detector.reference import reference_statistics
from nightglass.engine.finetuning import Finetuned, finetune
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.precision import choose_precision
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.training import (
    MIN_GOOD_IMAGES,
    GoodImages,
    LabelledImages,
    TrainingImages,
    choose_rows,
    collect_good,
    collect_labelled,
)
from nightglass.errors import AccessDeniedError, InputError, ModelError, NightglassError
from nightglass.images.manifest import Manifest
from nightglass.images.statistics import STATISTICS
from nightglass.storage import Folder, Folders

Doubles = NDArray[np.float64]
_REFERENCE_EMBEDDINGS = 2000
_LITTLE_SPACE = 64 * 1024 * 1024


@dataclass(frozen=True)
class Fitted:
    """A fitted detector, its description, and what it was fitted on.

    ``int8_agreement`` is the rank correlation of image scores by which int8 was kept or refused; None where it was not
    tried.
    """

    description: Description
    images: int
    quarantined: int
    int8_agreement: float | None


def fit_detector(
    images: Folder | Folders,
    manifest: Manifest,
    training: TrainingImages,
    collection: Collection,
    out: Path,
    *,
    record: pa.Table,
    workers: int,
    times: StageTimes,
    is_finetuned: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Fit a detector on ``training`` and write it to the folder ``out``, whole or not at all.

    Args:
        images: The folder or folders of the images.
        manifest: Their manifest, for sizes and the data version.
        training: The good images among them, and those that an analyst labelled.
        collection: Its detector and reading options.
        out: Where the detector goes; must not exist, or be an older detector.
        record: What is fitted on, see :mod:`nightglass.engine.training_record`; kept in the detector.
        workers: Threads.
        times: Where busy times are added.
        is_finetuned: Whether the backbone is tuned on them first.
        progress: Called with the number of images of every finished batch.

    Raises:
        ModelError: There are too few good images, or the backbone cannot be tuned.
        InputError: ``out`` exists and is no detector, or the backbone is unknown.
    """
    out = out.resolve()
    options = collection.detector
    if len(training.good) < MIN_GOOD_IMAGES:
        raise ModelError(f"fit: expected at least {MIN_GOOD_IMAGES} different good images, got {len(training.good)}")
    with _replacing(out) as folder:
        finetuned = _write_network(folder, images, training, collection, workers, times, is_finetuned=is_finetuned)
        with times.measure("quantize"):
            chosen = choose_precision(folder / NETWORK, images, training.good, collection, workers)
        backend = open_backend(folder / NETWORK, options.backbone, workers, chosen.precision, collection.scoring.device)
        size = options.backbone.image_size
        with Pipeline(images, backend, size, collection.scoring, workers=workers, times=times) as pipeline:
            known = finetuned.learned_from if finetuned else frozenset()
            found = collect_good(pipeline, training, manifest, collection, progress, not_calibrating=known)
            with times.measure("build"):
                detector, scores = build_on_good(found, manifest, collection, folder / NETWORK, chosen.precision)
            learned = collect_labelled(pipeline, training.defects, detector, progress)
            # Within the pipeline BLAS has one thread; with several, the last bits of an inverse depend on their number.
            with times.measure("build"):
                detector, scores = _learn_labels(detector, scores, found, learned, training.called_normal)
                detector = replace(detector, reference=_measure_reference(detector, scores, found, collection))
                pq.write_table(record, folder / TRAINING, compression="zstd")
                description = save_detector_files(detector, folder, finetuned.record if finetuned else None)
    quarantined = found.quarantined + learned.quarantined
    return Fitted(description, len(found.rows), quarantined, chosen.int8_agreement)


def _write_network(
    folder: Path,
    images: Folder | Folders,
    training: TrainingImages,
    collection: Collection,
    workers: int,
    times: StageTimes,
    *,
    is_finetuned: bool,
) -> Finetuned | None:
    """Write the network and its weights into ``folder``, tuned first where that is asked for."""
    import safetensors.torch

    from nightglass.detector.network import EmbeddingNetwork, export_openvino

    finetuned = None
    network = EmbeddingNetwork(collection.detector.backbone)
    if is_finetuned:
        with times.measure("finetune"):
            finetuned = finetune(network, images, training, collection, workers)
    with times.measure("export"):
        export_openvino(network, collection.detector.backbone.image_size, folder / NETWORK)
        safetensors.torch.save_file(network.backbone.state_dict(), folder / WEIGHTS_NAME)
    return finetuned


def build_on_good(
    found: GoodImages, manifest: Manifest, collection: Collection, network_path: Path, precision: Precision
) -> tuple[Detector, Doubles]:
    """Return a detector that knows good images only, without a reference, and the held-out images' scores.

    Each of ``found.held_out``, in its order, is scored against the others only.
    """
    options = collection.detector
    embeddings = np.stack(found.embeddings)
    standardization = Standardization.of(embeddings)
    bank = MemoryBank.build(standardization.apply(embeddings))
    patch_bank, patch_distances = build_patch_bank(
        PatchSample(np.concatenate(found.places), np.array(found.owners)),
        options.patch_bank_size,
        found.held_out,
        options.false_alarm_rate,
        options.seed,
    )
    image_distances = bank.search_others(options.num_neighbors).mean(axis=1)[list(found.held_out)]
    drawn = np.array(found.is_drawn)
    calibration = calibrate(image_distances[drawn], patch_distances[drawn], options.false_alarm_rate)
    detector = Detector(
        options=options,
        precision=precision,
        standardization=standardization,
        bank=bank,
        calibration=calibration,
        patch_bank=patch_bank,
        label_head=None,
        reference=Reference({}, np.empty((0, DIMENSIONS), np.float32)),
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
    return detector, calibration.score(image_distances, patch_distances)


def _learn_labels(
    detector: Detector, scores: Doubles, found: GoodImages, learned: LabelledImages, called_normal: frozenset[str]
) -> tuple[Detector, Doubles]:
    """Add what the labels say, and set the threshold anew on the held-out images' scores, which are returned."""
    held_out = list(found.held_out)
    normal = HeadImages(np.stack([found.features[i] for i in held_out]), scores)
    is_verdict = np.array([found.rows[i].sha256 in called_normal for i in held_out])
    fitted = fit_label_head(normal, learned.as_head_images(normal), is_verdict, detector.options.seed)
    if fitted is None:
        return detector, scores
    scores = scores + fitted.held_out
    threshold = conformal_threshold(scores[np.array(found.is_drawn)], detector.options.false_alarm_rate)
    calibration = detector.calibration.model_copy(update={"image_threshold": threshold})
    return replace(detector, label_head=fitted.head, calibration=calibration), scores


def _measure_reference(detector: Detector, scores: Doubles, found: GoodImages, collection: Collection) -> Reference:
    statistics = np.stack(found.statistics)
    values: dict[str, NDArray[np.floating[Any]]] = {name: statistics[:, i] for i, name in enumerate(STATISTICS)}
    values["image_score"] = scores[np.array(found.is_drawn)]
    random = np.random.default_rng(collection.detector.seed)
    sample = [found.embeddings[i] for i in choose_rows(random, len(found.embeddings), _REFERENCE_EMBEDDINGS)]
    embeddings = project(detector.standardization.apply(np.stack(sample)))
    return Reference(reference_statistics(values, collection.drift.bins), embeddings)


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
