"""Which new images are trusted to be good: what keeps a poisoned night out of a training set.

All distances are Euclidean between the 128-dimensional vectors of length 1 by which nights are stored
(:mod:`nightglass.detector.night_space`), measured against how near good images are to each other.
"""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from nightglass.detector.detector import Detector
from nightglass.detector.night_space import project

Floats = NDArray[np.float32]
#: Chosen by measurement on ELPV, docs/retraining.md: two poly cells in three let in, few of a night's defects.
_DENSE = 0.85  # of the usual distance to the fifth neighbour: what is that near others is a dense group
_NEIGHBORS = 5
_NEAR_DUPLICATE = 0.15  # of the usual distance to the nearest neighbour
_TYPICAL = 0.75  # of the lower spread above the median
_LOWER_SPREAD = 0.16  # quantile: one standard deviation below the median of a normal distribution
_MAX_BANK = 5_000  # images that usual distances are measured on
_MAX_GROUPED = 20_000


@dataclass(frozen=True)
class UsualDistances:
    """How near good images are to each other: medians of the distance to the nearest and to the fifth neighbour."""

    nearest: float
    fifth: float

    @property
    def duplicate(self) -> float:
        """The distance below which two images count as the same."""
        return _NEAR_DUPLICATE * self.nearest

    @classmethod
    def measure(cls, vectors: Floats, seed: int) -> "UsualDistances":
        """Measure good images ``(N, 128)``."""
        sample = vectors[np.random.default_rng(seed).permutation(len(vectors))[:_MAX_BANK]]
        neighbors = min(_NEIGHBORS, len(sample) - 1)
        distances, _ = nearest_others(sample, neighbors)
        return cls(float(np.median(distances[:, 0])), float(np.median(distances[:, -1])))


def bank_vectors(detector: Detector) -> Floats:
    """Return the vectors ``(N, 128)`` of the detector's memory bank."""
    return project(detector.bank.embeddings())


def score_of_share(detector: Detector, share: float) -> float:
    """Return the image score that ``share`` of the good images stay below, at most the image threshold.

    It is interpolated between the quantiles that the detector keeps for drift.
    """
    kept = detector.reference.statistics["image_score"]
    below = np.cumsum(kept.counts[:-1]) / kept.count
    threshold = detector.calibration.image_threshold
    shares = np.append(below, 1 - detector.calibration.false_alarm_rate)
    scores = np.append(kept.edges, threshold)
    order = np.argsort(shares, kind="stable")
    return min(float(np.interp(share, shares[order], np.maximum.accumulate(scores[order]))), threshold)


def find_dense_group(vectors: Floats, usual: UsualDistances, seed: int) -> NDArray[np.bool_]:
    """Tell which of ``vectors (N, 128)`` make up the largest dense group (DBSCAN, Ester et al. 1996).

    Images of one new kind lie as near to each other as good images do; defects are scattered.
    """
    from sklearn.cluster import DBSCAN

    looked_at = np.random.default_rng(seed).permutation(len(vectors))[:_MAX_GROUPED]
    is_member = np.zeros(len(vectors), bool)
    if len(looked_at) <= _NEIGHBORS:
        return is_member
    groups = DBSCAN(eps=_DENSE * usual.fifth, min_samples=_NEIGHBORS + 1).fit(vectors[looked_at]).labels_
    if groups.max(initial=-1) >= 0:
        is_member[looked_at[groups == np.bincount(groups[groups >= 0]).argmax()]] = True
    return is_member


def is_typical(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of a group's leave-one-out image scores ``(N,)`` are typical of it.

    The lower half of the scores says how much good images differ, whatever hides in the upper half.
    """
    median, low = np.quantile(scores, [0.5, _LOWER_SPREAD])
    return np.asarray(scores <= median + _TYPICAL * (median - low))


def thin_out(vectors: Floats, known: Floats, usual: UsualDistances) -> NDArray[np.bool_]:
    """Tell which of ``vectors (N, 128)`` are no near-duplicate of ``known (M, 128)`` or of an earlier one kept."""
    kept = ~is_near(vectors, known, usual.duplicate)
    places = np.flatnonzero(kept)
    if len(places) < 2:
        return kept
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors[places]))
    limits, _, near = index.range_search(np.ascontiguousarray(vectors[places]), usual.duplicate**2)
    for number, place in enumerate(places):
        earlier = near[limits[number] : limits[number + 1]]
        if any(kept[places[other]] for other in earlier if other < number):
            kept[place] = False
    return kept


def is_near(vectors: Floats, known: Floats, reach: float) -> NDArray[np.bool_]:
    """Tell which of ``vectors (N, 128)`` have one of ``known (M, 128)`` within ``reach``."""
    if not len(vectors) or not len(known):
        return np.zeros(len(vectors), bool)
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(known))
    squared, _ = index.search(np.ascontiguousarray(vectors), 1)
    return np.asarray(squared[:, 0] < reach**2)


def nearest_others(vectors: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return distances and rows ``(N, count)`` of every vector's nearest other ones."""
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    squared, rows = index.search(np.ascontiguousarray(vectors), count + 1)
    # Rounding may rank an equal vector before the vector itself, which is found by its number.
    squared[rows == np.arange(len(vectors))[:, None]] = np.inf
    order = np.argsort(squared, axis=1, kind="stable")[:, :count]
    return np.sqrt(np.maximum(np.take_along_axis(squared, order, 1), 0)), np.take_along_axis(rows, order, 1)
