"""Fit a registered detector once more from its own record, and say whether it gives the same scores."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nightglass import __version__
from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.detector.files import Description, load_detector, read_description
from nightglass.detector.finetuning_record import Finetuning
from nightglass.engine.training_record import DELETED, read_training
from nightglass.models import FoundModel
from nightglass.records import ModelRef, Record
from nightglass.retraining.challenger import fit_challenger
from nightglass.retraining.scorer import Scorer
from nightglass.retraining.training_images import open_images

Options = Mapping[str, Any] | None
_COMPARED = 200  # training images whose scores are compared


class Reproduction(Record):
    """What came of it: ``differences`` are empty exactly where the detectors are the same.

    ``max_score_difference`` is over ``compared`` training images, in units of the image score.
    """

    model: ModelRef
    identical: bool
    fingerprint: str
    reproduced_fingerprint: str
    images: int
    compared: int
    max_score_difference: float
    differences: list[str]


def reproduce(found: FoundModel, collection: Collection, *, storage_options: Options, workers: int) -> Reproduction:
    """Rebuild a detector from its recorded images and parameters, and compare it with what is registered.

    Args:
        found: The registered detector.
        collection: How its images are read; the fit's own parameters come from the detector.
        storage_options: Credentials of remote images.
        workers: Threads.

    Raises:
        ModelError: Too few of its images are still there.
    """
    folder = found.detector.network_path.parent
    record = read_training(folder)
    before = read_description(folder)
    # Bins of the reference are a part of the fit that the collection's file says.
    asked = collection.model_copy(
        update={
            "detector": before.options,
            "retraining": collection.retraining.model_copy(
                update={"adapt": "finetune" if before.finetuning else "head"}
            ),
        }
    )
    with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
        out = Path(work) / "detector"
        fit_challenger(
            record, asked, out, data_version=before.data_version, storage_options=storage_options, workers=workers
        )
        after, again = read_description(out), load_detector(out)
        sample = record.take(pa.array(np.random.default_rng(0).permutation(len(record))[:_COMPARED]))
        old, new = (
            _score(detector, sample, asked, storage_options=storage_options, workers=workers)
            for detector in (found.detector, again)
        )
    shared = sorted(old.keys() & new.keys())
    differences = _differences(before, after)
    if differences and (deleted := record["reason"].to_pylist().count(DELETED)):
        differences = [_tell_deleted(deleted), *differences]
    return Reproduction(
        model=found.ref,
        identical=not differences,
        fingerprint=before.fingerprint,
        reproduced_fingerprint=after.fingerprint,
        images=len(record),
        compared=len(shared),
        max_score_difference=max((abs(old[path] - new[path]) for path in shared), default=0.0),
        differences=differences,
    )


def _score(
    detector: Detector, sample: pa.Table, collection: Collection, *, storage_options: Options, workers: int
) -> dict[str, float]:
    folders, rows = open_images(sample, storage_options)
    scores, _ = Scorer(detector, collection, workers).score_files(folders, rows, set())
    return scores


def _tell_deleted(count: int) -> str:
    if count == 1:
        return "one of its training images was deleted on request"
    return f"{count} of its training images were deleted on request"


def _differences(before: Description, after: Description) -> list[str]:
    """Say what is not the same, the causes first."""
    found = []
    if before.nightglass_version != __version__:
        found.append(f"fitted by Nightglass {before.nightglass_version}, reproduced by {__version__}")
    if before.num_bank_images != after.num_bank_images:
        found.append(f"{before.num_bank_images} images in the memory bank, {after.num_bank_images} could be read again")
    if before.precision != after.precision:
        found.append(f"the network computes in {before.precision}, here in {after.precision}")
    if before.labelled_defects != after.labelled_defects:
        found.append(f"learned from {before.labelled_defects} defects, here from {after.labelled_defects}")
    found.extend(_finetuning_differences(before.finetuning, after.finetuning))
    if before.calibration != after.calibration:
        old, new = before.calibration.image_threshold, after.calibration.image_threshold
        found.append(f"image threshold {old:.6g}, here {new:.6g}")
    if before.fingerprint != after.fingerprint:
        names = [name for name, sha256 in before.files.items() if after.files.get(name) != sha256]
        found.append(f"other content in {', '.join(names) or 'the description'}")
        return found
    return []


def _finetuning_differences(before: Finetuning | None, after: Finetuning | None) -> list[str]:
    if before is None or after is None or before == after:
        return []
    old, new = before.model_dump(exclude={"epochs"}), after.model_dump(exclude={"epochs"})
    told = [f"{name.replace('_', ' ')} {old[name]}, here {new[name]}" for name in old if old[name] != new[name]]
    return [f"fine-tuned otherwise: {'; '.join(told) or 'the epochs took another course'}"]
