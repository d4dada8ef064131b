"""The proof: champion and challenger on the same frozen images, in the same run."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.errors import InputError
from nightglass.images.reading import ImageRow
from nightglass.models import FoundModel
from nightglass.retraining.comparison import (
    ClassScores,
    Flags,
    compare_detection,
    compare_false_alarms,
    correlate_ranks,
)
from nightglass.retraining.cost import measure_costs
from nightglass.retraining.drawn import DrawnImages, choose_bases
from nightglass.retraining.frozen import FrozenImages
from nightglass.retraining.records import Detection, Evaluation, SliceFigures
from nightglass.retraining.scorer import Scorer
from nightglass.storage import Folder, Folders

_MOST_SLICES = 100  # a pattern that names every image must not make as many slices


def evaluate_models(
    images: Folder | Folders,
    frozen: pa.Table,
    rows: list[ImageRow],
    champion: FoundModel,
    challenger: FoundModel,
    collection: Collection,
    *,
    workers: int,
) -> Evaluation:
    """Measure both models on the frozen images.

    Args:
        images: Opens the images by the ``name_on_disk`` of their ``rows``.
        frozen: One row an image: ``path`` (unique), ``label`` (``defect``, ``normal`` or null), ``presumed_good``,
            ``slices`` (a list of names).
        rows: The same images in the same order.
        champion: The production model.
        challenger: The candidate.
        collection: Its gates, and how its images are read.
        workers: Threads.

    Raises:
        InputError: The table is not what it should be, or no frozen image can be read.
        ModelError: A network cannot be loaded, or measuring its cost fails.
    """
    listed = FrozenImages.read(frozen, rows)
    measured = _Measured.take(images, listed, champion, challenger, collection, workers)
    champion_cost, challenger_cost = measure_costs(
        champion.detector, challenger.detector, images, measured.frozen.rows, collection, workers
    )
    good = measured.frozen.is_good
    return Evaluation(
        collection=collection.name,
        champion=champion.ref,
        challenger=challenger.ref,
        data_version=listed.data_version,
        images=len(measured.frozen),
        unreadable=len(listed) - len(measured.frozen),
        confidence=collection.retraining.gates.confidence,
        labels=measured.compare_labels(np.ones_like(good)),
        drawn=measured.compare_drawn(np.ones_like(good)),
        false_alarms=compare_false_alarms(*(alarms[good] for alarms in measured.alarms)),
        target_false_alarm_rate=measured.target_rate,
        slices=[
            measured.measure_slice(name, members) for name, members in measured.frozen.find_slices(_MOST_SLICES).items()
        ],
        rank_correlation=correlate_ranks(*measured.scores),
        champion_cost=champion_cost,
        challenger_cost=challenger_cost,
    )


class _Measured:
    """What the passes leave: scores ``(N,)`` of both models, champion first, and those of the drawn images."""

    def __init__(
        self,
        frozen: FrozenImages,
        scores: list[NDArray[np.float64]],
        thresholds: list[float],
        drawn: list[ClassScores],
        bases: NDArray[np.int64],
        collection: Collection,
        target_rate: float,
    ) -> None:
        self.frozen = frozen
        self.scores = scores
        self.alarms = [values >= threshold for values, threshold in zip(scores, thresholds, strict=True)]
        self.target_rate = target_rate
        self._thresholds = thresholds
        self._drawn = drawn
        self._bases = bases
        self._gates = collection.retraining.gates

    @classmethod
    def take(
        cls,
        images: Folder | Folders,
        listed: FrozenImages,
        champion: FoundModel,
        challenger: FoundModel,
        collection: Collection,
        workers: int,
    ) -> "_Measured":
        """Pass over the images once with each model, then over the drawn ones."""
        scorers = [Scorer(model.detector, collection, workers) for model in (champion, challenger)]
        larger = max(scorers, key=lambda scorer: scorer.image_size)
        bases = choose_bases(listed, larger.image_size, _MOST_SLICES)
        keep = {listed.rows[row].path for row in bases}
        passes = [scorer.score_files(images, listed.rows, keep if scorer is larger else set()) for scorer in scorers]
        pixels = passes[scorers.index(larger)][1]
        is_scored = np.array([all(row.path in scores for scores, _ in passes) for row in listed.rows], dtype=bool)
        if not is_scored.any():
            raise InputError(f"{images.url}: expected to read the {len(listed)} frozen images, got none of them")
        frozen = listed.pick(is_scored)
        scores = [np.array([scores[row.path] for row in frozen.rows]) for scores, _ in passes]
        bases = np.flatnonzero([row.path in pixels for row in frozen.rows])
        drawn: list[ClassScores] = []
        if len(bases):
            both = DrawnImages.draw(np.stack([pixels[frozen.rows[row].path] for row in bases]))
            drawn = [
                ClassScores(scorer.score_pixels(both.defects), scorer.score_pixels(both.good), scorer.threshold)
                for scorer in scorers
            ]
        # A few training images hold no rate as low as the collection asks for; the model with more sets the aim.
        target_rate = min(model.detector.calibration.false_alarm_rate for model in (champion, challenger))
        thresholds = [scorer.threshold for scorer in scorers]
        return cls(frozen, scores, thresholds, drawn, bases, collection, target_rate)

    def compare_labels(self, members: Flags) -> Detection | None:
        """Compare on the labelled defects and good images among ``members (N,)``; None where there are too few."""
        is_defect, is_good = self.frozen.is_defect & members, self.frozen.is_good & members
        if min(is_defect.sum(), is_good.sum()) < self._gates.min_defects:
            return None
        champion, challenger = (
            ClassScores(scores[is_defect], scores[is_good], threshold)
            for scores, threshold in zip(self.scores, self._thresholds, strict=True)
        )
        return compare_detection(
            "labels", champion, challenger, confidence=self._gates.confidence, target_rate=self.target_rate
        )

    def compare_drawn(self, members: Flags) -> Detection | None:
        """Compare on the defects drawn into ``members (N,)``; None where there are too few."""
        picked = members[self._bases]
        if picked.sum() < self._gates.min_defects:
            return None
        champion, challenger = (scores.pick(picked, picked) for scores in self._drawn)
        return compare_detection(
            "drawn", champion, challenger, confidence=self._gates.confidence, target_rate=self.target_rate
        )

    def measure_slice(self, name: str, members: Flags) -> SliceFigures:
        """Measure one slice; one that is too small to be judged has no AUROC."""
        is_good = self.frozen.is_good & members
        detection: Detection | None = None
        if members.sum() >= self._gates.min_slice_images:
            detection = self.compare_labels(members) or self.compare_drawn(members)
        return SliceFigures(
            slice=name,
            images=int(members.sum()),
            false_alarms=compare_false_alarms(*(alarms[is_good] for alarms in self.alarms)),
            auroc=detection.auroc if detection else None,
            source=detection.source if detection else None,
        )
