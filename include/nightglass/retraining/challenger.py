"""Fit a challenger on a snapshot, and score a group of new images against each other."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.engine.fit import Fitted, build_on_good, fit_detector
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.training import TrainingImages, collect_good
from nightglass.engine.training_record import DELETED
from nightglass.retraining.records import TrainingFacts
from nightglass.retraining.training_images import as_manifest, as_training, open_images

Options = Mapping[str, Any] | None
_UNREAD = "cannot be read any more"


def fit_challenger(
    training: pa.Table,
    collection: Collection,
    out: Path,
    *,
    data_version: str,
    storage_options: Options,
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Fit a detector on the images of a training record and write it to ``out``.

    Args:
        training: The record; its order matters to the fit.
        collection: Detector and reading options, and whether the backbone is tuned (``retraining.adapt``).
        out: Where the detector goes.
        data_version: Of the record, as the detector says it.
        storage_options: Credentials of remote images.
        workers: Threads.
        progress: Called with the number of images of every finished batch.

    Raises:
        ModelError: There are too few good images, or the backbone cannot be tuned.
        StorageError: A store does not answer.
    """
    # What was deleted on request is in the record, but nowhere to be read.
    training = training.filter(pc.fill_null(pc.not_equal(training["reason"], DELETED), True))
    folders, rows = open_images(training, storage_options)
    return fit_detector(
        folders,
        as_manifest(training, data_version),
        as_training(training, rows),
        collection,
        out,
        record=training,
        workers=workers,
        times=StageTimes(),
        is_finetuned=collection.retraining.adapt == "finetune",
        progress=progress,
    )


def count_unread(facts: TrainingFacts, training: pa.Table, challenger: Detector) -> TrainingFacts:
    """Return the facts of a fit without the good images that could not be read any more."""
    good = len(training) - facts.defects
    unread = min(good, challenger.options.max_bank_images) - len(challenger.bank_images)
    left_out = facts.left_out | ({_UNREAD: unread} if unread else {})
    return facts.model_copy(update={"images": good - unread, "left_out": left_out})


def score_each_other(
    group: pa.Table, champion: Detector, collection: Collection, *, storage_options: Options, workers: int
) -> NDArray[np.float64]:
    """Return the leave-one-out image score ``(N,)`` of each of a group's images, by the champion's network.

    NaN for an image that cannot be read any more, and beyond the first 2,000 that are drawn at random: those stay out.
    """
    folders, rows = open_images(group, storage_options)
    options = collection.scoring
    backend = champion.open_backend(workers, options.device)
    manifest, size = as_manifest(group, ""), champion.options.backbone.image_size
    training = TrainingImages(rows, [], frozenset())
    with Pipeline(folders, backend, size, options, workers=workers, times=StageTimes()) as pipeline:
        found = collect_good(pipeline, training, manifest, collection)
        _, scores = build_on_good(found, manifest, collection, champion.network_path, champion.precision)
    by_path = {found.rows[number].path: score for number, score in zip(found.held_out, scores.tolist(), strict=True)}
    return np.array([by_path.get(row.path, np.nan) for row in rows])
