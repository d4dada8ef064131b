"""Two models on the same images: differences with intervals, from resamples that both of them share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nightglass.detector.calibration import conformal_threshold
from nightglass.engine.evaluation import Ranking, draw_counts
from nightglass.retraining.records import Detection, FalseAlarms, Paired

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
_RESAMPLES = 2000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ClassScores:
    """Image scores that one model gives ``defects (D,)`` and ``normals (N,)``, and its image threshold."""

    defects: Doubles
    normals: Doubles
    threshold: float

    def pick(self, defects: Flags, normals: Flags) -> "ClassScores":
        """Return the scores of some of the images."""
        return ClassScores(self.defects[defects], self.normals[normals], self.threshold)


def compare_detection(
    source: Literal["labels", "drawn"],
    champion: ClassScores,
    challenger: ClassScores,
    *,
    confidence: float,
    target_rate: float,
) -> Detection:
    """Compare how well two models rank the same defects above the same good images.

    Every resample is one of images, which both models share, so that what makes an image hard for both cancels out
    (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, sections 6 and 8). A drawn defect comes and goes with
    the image that it was drawn into.

    Args:
        source: For ``drawn``, defect ``i`` was drawn into good image ``i``.
        champion: Its scores.
        challenger: Its scores of the same images in the same order.
        confidence: Of the intervals.
        target_rate: False alarms among good images that the thresholds aim at.
    """
    threshold = max(champion.threshold, conformal_threshold(champion.normals, target_rate))
    models = [_Model(champion, threshold), _Model(challenger, challenger.threshold)]
    defects, normals = len(champion.defects), len(champion.normals)
    random = np.random.default_rng(0)
    differences = np.empty((_RESAMPLES, 3))
    for row in differences:
        normal_counts = draw_counts(normals, random)
        defect_counts = normal_counts if source == "drawn" else draw_counts(defects, random)
        before, after = (model.measure(defect_counts, normal_counts) for model in models)
        row[:] = np.subtract(after, before)
    before, after = (model.measure(np.ones(defects, np.int64), np.ones(normals, np.int64)) for model in models)
    auroc, average_precision, found = (
        _pair(before[i], after[i], differences[:, i], confidence) for i in range(differences.shape[1])
    )
    return Detection(
        source=source,
        defects=defects,
        normals=normals,
        auroc=auroc,
        average_precision=average_precision,
        found=found,
    )


class _Model:
    """One model's scores, sorted once for all resamples."""

    def __init__(self, scores: ClassScores, threshold: float) -> None:
        self._ranking = Ranking(scores.defects, scores.normals)
        self._is_found = scores.defects >= threshold

    def measure(self, defect_counts: NDArray[np.int64], normal_counts: NDArray[np.int64]) -> tuple[float, float, float]:
        """Return AUROC, average precision and the share of defects found, each image counted so often."""
        ranking = self._ranking
        auroc, precision = ranking.measure(defect_counts[ranking.defect_order], normal_counts[ranking.normal_order])
        return auroc, precision, float(defect_counts @ self._is_found) / len(self._is_found)


def compare_false_alarms(champion: Flags, challenger: Flags) -> FalseAlarms:
    """Count alarms ``(N,)`` of both models on the same good images.

    McNemar's exact test looks only at the images on which the two disagree (McNemar, Psychometrika 12, 1947).
    """
    from scipy.stats import binomtest

    only_champion, only_challenger = int((champion & ~challenger).sum()), int((challenger & ~champion).sum())
    disagreed = only_champion + only_challenger
    p_value = binomtest(only_champion, disagreed, 0.5, alternative="greater").pvalue if disagreed else 1.0
    return FalseAlarms(
        images=len(champion),
        champion=int(champion.sum()),
        challenger=int(challenger.sum()),
        only_champion=only_champion,
        only_challenger=only_challenger,
        p_value=float(p_value),
    )


def correlate_ranks(champion: Doubles, challenger: Doubles) -> float | None:
    """Return Spearman's rank correlation of two models' scores ``(N,)``; None where there is none."""
    from scipy.stats import spearmanr

    if len(champion) < 3 or not (np.ptp(champion) and np.ptp(challenger)):
        return None
    return float(spearmanr(champion, challenger).statistic)


def _pair(champion: float, challenger: float, differences: Doubles, confidence: float) -> Paired:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(differences, [tail, 100 - tail])
    # The observed sample counts as one of them, so that no p-value is 0 (Davison & Hinkley 1997, section 4.2.3).
    no_better = 1 + int((differences <= _ROUNDING).sum())
    return Paired(
        champion=champion,
        challenger=challenger,
        low=float(low),
        high=float(high),
        p_value=no_better / (len(differences) + 1),
    )
