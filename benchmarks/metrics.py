"""How well scores rank defects above normal images, and how well anomaly maps find the defective places."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, roc_auc_score

Bools = NDArray[np.bool_]
_FALSE_ALARMS = 0.01
_PRO_LIMIT = 0.3  # false positive rate that PRO is integrated to
_NEIGHBORHOOD = np.ones((3, 3), dtype=int)  # pixels that touch at a corner belong to one place


def image_figures(is_defect: Bools, image_score: NDArray[np.float64]) -> dict[str, float]:
    """Return AUROC, average precision, and the share of defects found at 1 % false alarms.

    Args:
        is_defect: ``(N,)``, with both classes.
        image_score: ``(N,)``, higher = more anomalous.
    """
    limit = np.quantile(image_score[~is_defect], 1 - _FALSE_ALARMS, method="higher")
    return {
        "auroc": float(roc_auc_score(is_defect, image_score)),
        "average_precision": float(average_precision_score(is_defect, image_score)),
        "recall_at_1pct_false_alarms": float((image_score[is_defect] > limit).mean()),
    }


def pixel_figures(maps: Sequence[NDArray[np.generic]], masks: Sequence[Bools]) -> dict[str, float]:
    """Return pixel AUROC and PRO over all images together.

    PRO is the per-region overlap of Bergmann et al. 2020 ("Uninformed Students", section 4.2): over all connected
    defective places the mean share that lies above a threshold, integrated over the false positive rate of the normal
    pixels from 0 to 0.3 and divided by 0.3, so that 1 is perfect.

    Args:
        maps: Anomaly maps ``(H, W)``, one an image.
        masks: Their defective pixels, of the same shapes; none in a good image.

    Raises:
        ValueError: A shape differs, or there is no defective or no normal pixel.
    """
    for number, (anomaly_map, mask) in enumerate(zip(maps, masks, strict=True)):
        if anomaly_map.shape != mask.shape:
            raise ValueError(f"mask {number}: expected the shape {anomaly_map.shape} of its map, got {mask.shape}")
    values = np.concatenate([anomaly_map.ravel() for anomaly_map in maps]).astype(np.float32)
    is_defect = np.concatenate([mask.ravel() for mask in masks])
    if is_defect.all() or not is_defect.any():
        raise ValueError("masks: expected defective and normal pixels, got one kind only")
    order = np.argsort(-values, kind="stable")
    # The last pixel of each value: between equal values there is no threshold.
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)

    def share_above(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        summed = np.cumsum(weights[order])[ends]
        return np.concatenate([[0.0], summed / summed[-1]])

    false_positives = share_above((~is_defect).astype(np.float64))
    true_positives = share_above(is_defect.astype(np.float64))
    overlap = share_above(np.concatenate([_weigh_places(mask).ravel() for mask in masks]))
    return {
        "pixel_auroc": float(np.trapezoid(true_positives, false_positives)),
        "pro": _integrate(false_positives, overlap, _PRO_LIMIT) / _PRO_LIMIT,
    }


def _weigh_places(mask: Bools) -> NDArray[np.float64]:
    """Return for every pixel 1 / size of its connected place, 0 for normal ones: every place weighs the same."""
    places, count = label(mask, structure=_NEIGHBORHOOD)
    sizes = np.bincount(places.ravel(), minlength=count + 1)
    weights = 1.0 / np.maximum(sizes, 1)
    weights[0] = 0.0
    return np.asarray(weights[places])


def _integrate(x: NDArray[np.float64], y: NDArray[np.float64], limit: float) -> float:
    """Integrate the curve from x = 0 to ``limit``; ``x`` rises from 0 to 1."""
    inside = x <= limit
    at_limit = np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[inside], at_limit), np.append(x[inside], limit)))
