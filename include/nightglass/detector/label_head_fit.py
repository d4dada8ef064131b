"""Fit the label head on good images and labelled defects.

Kernel ridge regression of the verdicts (normal -1, defect +1; each class half of the weight) on the features and the
good-only score. Leave-one-out values are exact and cost one inverse (Rasmussen and Williams 2006, section 5.4.2), so
that the good images which the head learns from can still set the threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightglass.detector.label_head import LabelHead, bound, kernel, standardize
from nightglass.detector.memory_bank import Standardization

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]
MAX_SUPPORT = 1280  # images that a head holds: bounds what scoring an image costs
# Chosen with the other numbers by measurement, docs/performance.md.
_RIDGE = 0.5
_KERNEL_HEIGHT = 10.0  # beside 1 for the constant and for a unit of the line
_LARGEST_WEIGHT = 4.0
_HALF_WEIGHT_DEFECTS = 80
_LEAST_SPREAD = 0.05  # added to the deviation of good images, which few labels leave near 0
_VERDICT_WEIGHT = 10.0  # of an image that an analyst called normal; 1 is one only taken to be good
_CHECKED_DEFECTS = 50  # from which on a leave-one-out ranking says more than chance
_CHECKED_SHARES = (1.0, 0.5, 0.25)
_TOLERATED_LOSS = 0.005  # of AUROC: defects that were labelled because they scored high leave nothing to gain


@dataclass(frozen=True)
class HeadImages:
    """Images as the head learns from them: ``features (N, F)`` of `pool_features`, good-only ``scores (N,)``.

    The scores of images in the memory bank must be leave-one-out: there an image is at distance 0 from itself.
    """

    features: Floats
    scores: Doubles


@dataclass(frozen=True)
class FittedHead:
    """A head, and its ``held_out (N,)`` term for each normal image that it was given, as if it had not known that one.

    The good-only score plus this term is what the threshold is calibrated on.
    """

    head: LabelHead
    held_out: Doubles


def fit_label_head(normal: HeadImages, defect: HeadImages, is_verdict: Bools, seed: int) -> FittedHead | None:
    """Fit a head, or return None: nothing is labelled a defect, or leave-one-out ranks worse with what is.

    Args:
        normal: Good images, among them those that an analyst called normal.
        defect: Images labelled as defects; the memory bank holds none of them.
        is_verdict: ``(N,)``, the good images that an analyst called normal: each weighs more than one taken to be good.
        seed: Of the choice of images when there are more than a head holds.
    """
    if not len(defect.scores):
        return None
    standardization = Standardization.of(normal.features)
    kept, kept_defects = _choose(is_verdict, len(defect.scores), seed)
    support = standardize(standardization, np.concatenate([normal.features[kept], defect.features[kept_defects]]))
    scores = np.concatenate([normal.scores[kept], defect.scores[kept_defects]])
    is_defect = np.arange(len(scores)) >= len(kept)
    squared = _squared_distances(support.astype(np.float64))
    width = _usual_distance(squared[: len(kept), : len(kept)]) / 2
    say, held_out = _solve(squared, width, scores, _share_weights(is_defect, is_verdict[kept]), is_defect)
    center, spread = float(held_out[~is_defect].mean()), float(held_out[~is_defect].std()) + _LEAST_SPREAD
    standardized = (held_out - center) / spread
    weight = _weigh(len(defect.scores), standardized, scores, is_defect)
    if not weight:
        return None
    head = LabelHead(
        standardization=standardization,
        support=np.ascontiguousarray(support.T),
        coefficients=(_KERNEL_HEIGHT * say).astype(np.float32),
        intercept=float(say.sum()),
        slope=float(say @ bound(scores)),
        width=width,
        center=center,
        spread=spread,
        weight=weight,
        num_defects=len(defect.scores),
    )
    # Good images that the head does not hold are new to it; the others' terms are those without them.
    terms = head.score(normal.features, normal.scores)
    terms[kept] = weight * standardized[: len(kept)]
    return FittedHead(head, terms)


def _choose(is_verdict: Bools, num_defects: int, seed: int) -> tuple[Rows, Rows]:
    """Return the rows of normal images and of defects that the head holds; images called normal come first."""
    random = np.random.default_rng(seed)
    defects = min(num_defects, max(MAX_SUPPORT // 2, MAX_SUPPORT - len(is_verdict)))
    order = random.permutation(len(is_verdict))
    order = order[np.argsort(~is_verdict[order], kind="stable")]
    return np.sort(order[: MAX_SUPPORT - defects]), np.sort(random.permutation(num_defects)[:defects])


def _share_weights(is_defect: Bools, is_verdict: Bools) -> Doubles:
    """Return weights ``(S,)`` of mean 1, half of them for each class."""
    weights = np.ones(len(is_defect))
    weights[~is_defect] += (_VERDICT_WEIGHT - 1) * is_verdict
    for group in (is_defect, ~is_defect):
        weights[group] *= len(weights) / 2 / weights[group].sum()
    return weights


def _solve(
    squared: Doubles, width: float, scores: Doubles, weights: Doubles, is_defect: Bools
) -> tuple[Doubles, Doubles]:
    """Return the say ``(S,)`` of each image in the function, and each image's value as the others alone give it."""
    line = bound(scores)
    gram = _KERNEL_HEIGHT * kernel(squared, width) + 1 + np.outer(line, line)
    inverse = np.linalg.inv(gram + np.diag(_RIDGE / weights))
    targets = np.where(is_defect, 1.0, -1.0)
    say = np.asarray(inverse @ targets, dtype=np.float64)
    return say, targets - say / np.diag(inverse)


def _weigh(count: int, held_out: Doubles, scores: Doubles, is_defect: Bools) -> float:
    """Return the head's weight: it grows with the labelled defects, and only while it ranks unseen images no worse.

    A few defects cannot show that; the little weight that they have stands.
    """
    weight = _LARGEST_WEIGHT * count / (count + _HALF_WEIGHT_DEFECTS)
    if count < _CHECKED_DEFECTS:
        return weight
    from sklearn.metrics import roc_auc_score

    least = roc_auc_score(is_defect, scores) - _TOLERATED_LOSS
    shares = (s for s in _CHECKED_SHARES if roc_auc_score(is_defect, scores + s * weight * held_out) >= least)
    return weight * next(shares, 0.0)


def _squared_distances(rows: Doubles) -> Doubles:
    norms = (rows**2).sum(axis=1)
    return np.asarray(np.maximum(norms[:, None] + norms - 2 * (rows @ rows.T), 0))


def _usual_distance(squared: Doubles) -> float:
    """Return the median of the squared distances ``(N, N)`` between different images; 1 when all images are equal."""
    between = squared[np.triu_indices_from(squared, 1)]
    median = float(np.median(between)) if len(between) else 0.0
    return median if median > 1e-9 else 1.0
