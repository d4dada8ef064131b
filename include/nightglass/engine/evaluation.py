"""How well scores tell labelled defects from labelled good images, with intervals."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.errors import InputError
from nightglass.images.labels import Label

_RESAMPLES = 1000
_CONFIDENCE = 0.95


def evaluate_scores(scores: pa.Table, labels: dict[str, Label]) -> dict[str, Any]:
    """Compare ``scores`` (columns ``path``, ``image_score``, ``is_anomalous``) with ``labels``.

    Returns:
        Image AUROC and AP with bootstrap intervals, recall at 1 % false alarms, and the rates at the image threshold
        with exact (Clopper-Pearson) intervals; a figure that needs both classes is None when one is missing.

    Raises:
        InputError: No labelled path was scored.
    """
    paths = scores["path"].to_pylist()
    known = np.array([path in labels for path in paths], dtype=bool)
    if not known.any():
        raise InputError(f"labels: expected paths of the {len(paths)} scored images, got {len(labels)} others")
    is_defect = np.array([labels[path] == "defect" for path in paths if path in labels])
    image_score = np.asarray(scores["image_score"])[known]
    is_anomalous = np.asarray(scores["is_anomalous"])[known]
    figures: dict[str, Any] = {
        "images": len(is_defect),
        "defects": int(is_defect.sum()),
        "normals": int((~is_defect).sum()),
        "scored_without_label": int((~known).sum()),
        "labels_without_score": len(set(labels) - set(paths)),
        "false_alarm_rate": _rate(is_anomalous[~is_defect]),
        "detection_rate": _rate(is_anomalous[is_defect]),
        "auroc": None,
        "average_precision": None,
        "recall_at_1pct_false_alarms": None,
    }
    if is_defect.any() and not is_defect.all():
        figures |= _rank_figures(is_defect, image_score)
    return figures


def _rank_figures(is_defect: NDArray[np.bool_], image_score: NDArray[np.float64]) -> dict[str, Any]:
    ranking = Ranking(image_score[is_defect], image_score[~is_defect])
    auroc, average_precision = ranking.measure(np.ones(ranking.defects), np.ones(ranking.normals))
    random = np.random.default_rng(0)
    resampled = [ranking.measure(*ranking.resample(random)) for _ in range(_RESAMPLES)]
    tail = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail], axis=0)
    limit = np.quantile(image_score[~is_defect], 0.99, method="higher")
    return {
        "auroc": _figure(auroc, low[0], high[0]),
        "average_precision": _figure(average_precision, low[1], high[1]),
        "recall_at_1pct_false_alarms": float((image_score[is_defect] > limit).mean()),
    }


class Ranking:
    """Two classes of images, sorted once by score, so that a resample is only another weight for each of them.

    Only the places of the defects matter to both figures, so nothing but sums over the sorted normal images is
    needed of those: a resample takes time linear in the images and sorts nothing.
    """

    def __init__(self, defect_scores: NDArray[np.float64], normal_scores: NDArray[np.float64]) -> None:
        self.defects, self.normals = len(defect_scores), len(normal_scores)
        #: Rows of both classes by falling score, which is the order of weights.
        self.defect_order = np.argsort(-defect_scores, kind="stable")
        self.normal_order = np.argsort(-normal_scores, kind="stable")
        falling = defect_scores[self.defect_order]
        normals = -normal_scores[self.normal_order]
        #: Equal scores are one threshold: where each one's first and last defect stand, and how many normal images
        #: stand above it, and at or above it.
        self._first = np.flatnonzero(np.diff(falling, prepend=np.inf))
        self._last = np.append(self._first[1:], self.defects)
        self._above = np.searchsorted(normals, -falling[self._first], side="left")
        self._at_or_above = np.searchsorted(normals, -falling[self._first], side="right")

    def resample(self, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw each class anew with replacement, so that both are always there: how often each image came.

        Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, sections 6 and 8 (two samples, each resampled on
        its own).
        """
        return draw_counts(self.defects, random), draw_counts(self.normals, random)

    def measure(self, defect_weights: NDArray[Any], normal_weights: NDArray[Any]) -> tuple[float, float]:
        """Return AUROC and average precision of the images with these weights, in the order of falling scores.

        AUROC is the share of pairs that are ranked right, a tie counting half (Hanley & McNeil, Radiology 143, 1982);
        average precision is ``sum((R_n - R_{n-1}) * P_n)`` over the distinct scores, as scikit-learn's.
        """
        found = np.concatenate([[0], np.cumsum(defect_weights)])
        alarms = np.concatenate([[0], np.cumsum(normal_weights)])
        hits = found[self._last] - found[self._first]
        above, at_or_above = alarms[self._above], alarms[self._at_or_above]
        ranked_right = np.sum(hits * (self.normals - (above + at_or_above) / 2))
        reported = found[self._last] + at_or_above
        precision = found[self._last] / np.maximum(reported, 1)
        return float(ranked_right / (self.defects * self.normals)), float(np.sum(hits * precision) / self.defects)


def draw_counts(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``count`` times with replacement from as many images: how often each came, ``(count,)``."""
    return np.bincount(random.integers(0, count, count), minlength=count)


def _rate(is_anomalous: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(is_anomalous):
        return None
    count = int(is_anomalous.sum())
    return {**_figure(count / len(is_anomalous), *rate_interval(count, len(is_anomalous))), "count": count}


def rate_interval(count: int, total: int) -> tuple[float, float]:
    """Return the exact 95 % interval (Clopper-Pearson) of the rate ``count / total``."""
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci(_CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def _figure(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": float(value), "low": float(low), "high": float(high)}
