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
    from sklearn.metrics import average_precision_score, roc_auc_score

    random = np.random.default_rng(0)
    groups = [np.flatnonzero(is_defect), np.flatnonzero(~is_defect)]
    resampled = []
    for _ in range(_RESAMPLES):
        # Stratified, so that every resample has both classes.
        rows = np.concatenate([random.choice(group, len(group)) for group in groups])
        label, score = is_defect[rows], image_score[rows]
        resampled.append((roc_auc_score(label, score), average_precision_score(label, score)))
    tail = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail], axis=0)
    limit = np.quantile(image_score[~is_defect], 0.99, method="higher")
    return {
        "auroc": _figure(roc_auc_score(is_defect, image_score), low[0], high[0]),
        "average_precision": _figure(average_precision_score(is_defect, image_score), low[1], high[1]),
        "recall_at_1pct_false_alarms": float((image_score[is_defect] > limit).mean()),
    }


def _rate(is_anomalous: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(is_anomalous):
        return None
    from scipy.stats import binomtest

    count = int(is_anomalous.sum())
    interval = binomtest(count, len(is_anomalous)).proportion_ci(_CONFIDENCE, method="exact")
    return {**_figure(count / len(is_anomalous), interval.low, interval.high), "count": count}


def _figure(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": float(value), "low": float(low), "high": float(high)}
