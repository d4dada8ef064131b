"""Drift of image statistics: the population stability index (PSI) against the detector's reference.

The bins are quantiles of the reference and their outer ends are open, so a value beyond anything that the
reference holds still counts. Only counts are needed of a night, so its values stream through in chunks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from nightglass.errors import InputError
from nightglass.night.records import Record, StatisticDrift

#: Added to the count of every bin, so that an empty bin has a finite logarithm (Jeffreys' prior).
SMOOTHING = 0.5
#: A quantile bin with fewer reference values says little and makes the null distribution coarse.
MIN_REFERENCE_PER_BIN = 5
#: Equal up to rounding: relative to the largest reference value.
_TIE_WIDTH = 1e-6


class ReferenceStatistic(Record):
    """One image statistic of the training images, as the detector keeps it.

    ``edges`` are the inner bin edges, ascending; bin ``i`` holds ``edges[i - 1] <= value < edges[i]`` and the
    outer bins are open-ended, so ``counts`` has one more entry.
    """

    edges: list[float]
    counts: list[int]
    median: float

    @property
    def count(self) -> int:
        """Number of reference images."""
        return sum(self.counts)

    @model_validator(mode="after")
    def _check_bins(self) -> "ReferenceStatistic":
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0 or self.count == 0:
            raise ValueError(f"expected one count >= 0 per bin, got {self.counts} for {len(self.edges)} edges")
        if not np.isfinite(self.edges).all() or (np.diff(self.edges) <= 0).any():
            raise ValueError(f"expected finite ascending edges, got {self.edges}")
        return self


def reference_statistics(values: Mapping[str, ArrayLike], bins: int) -> dict[str, ReferenceStatistic]:
    """Bin the training images' statistics at their quantiles.

    A value that fills more than one quantile (zero colour on a grey camera, a constant) gets a narrow bin of
    its own, so that a night which moves off it is seen on either side. There are fewer than ``bins`` quantiles
    when the reference is small.

    Args:
        values: Statistic name -> values ``(M,)``, finite, in the statistic's own unit.
        bins: Number of quantile bins, at least 2.

    Raises:
        InputError: A statistic has no values, or one that is NaN or infinite.
    """
    return {name: _bin_reference(name, _finite_values(column, name), bins) for name, column in values.items()}


def count_bins(edges: Sequence[float], values: ArrayLike) -> NDArray[np.int64]:
    """Return how many ``values (N,)`` fall into each of the ``len(edges) + 1`` open-ended bins.

    Raises:
        InputError: A value is NaN or infinite.
    """
    finite = _finite_values(values, "night")
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), finite, side="right")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.int64)


def statistic_drift(
    name: str,
    reference: ReferenceStatistic,
    *,
    night_counts: ArrayLike,
    night_median: float,
    baseline_psi: float | None = None,
) -> StatisticDrift:
    """Compare one statistic of a night with the reference.

    ``PSI = sum((q - p) * ln(q / p))`` over the bins, with ``SMOOTHING`` added to every count; bins that are
    empty on both sides are left out. Without drift, ``PSI / (1/n + 1/m)`` follows a chi-square distribution
    with one degree of freedom fewer than bins (Yurdakul, "Statistical properties of population stability
    index", Western Michigan University, 2018), which gives the p-value. It is not yet adjusted for the number
    of statistics: see ``adjust_p_values``.

    Args:
        name: The statistic.
        reference: What the detector keeps of it.
        night_counts: The night's counts ``(B,)`` in the reference's bins, as ``count_bins`` gives them.
        night_median: Median of the night's values.
        baseline_psi: PSI of the champion's quiet nights, carried along for the report.

    Raises:
        InputError: The counts do not fit the reference's bins, or are all zero.
    """
    from scipy.stats import chi2

    counts = np.asarray(night_counts, dtype=np.int64)
    expected = np.asarray(reference.counts, dtype=np.int64)
    if counts.shape != expected.shape or (counts < 0).any() or not counts.any():
        raise InputError(f"drift of {name}: expected {len(expected)} counts >= 0, not all 0, got {counts.tolist()}")
    used = (counts + expected) > 0
    night, base = counts[used] + SMOOTHING, expected[used] + SMOOTHING
    q, p = night / night.sum(), base / base.sum()
    psi = float(np.sum((q - p) * np.log(q / p)))
    scale = 1 / counts.sum() + 1 / expected.sum()
    freedom = int(used.sum()) - 1
    p_value = float(chi2.sf(psi / scale, freedom)) if freedom else 1.0
    return StatisticDrift(
        name=name,
        psi=psi,
        p_value=p_value,
        adjusted_p_value=p_value,
        baseline_psi=baseline_psi,
        bin_edges=reference.edges,
        reference_share=(expected / expected.sum()).tolist(),
        night_share=(counts / counts.sum()).tolist(),
        reference_median=reference.median,
        night_median=night_median,
    )


def adjust_p_values(statistics: Sequence[StatisticDrift]) -> list[StatisticDrift]:
    """Return the night's statistics with Holm's correction of their p-values, in the same order.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = sorted(range(len(statistics)), key=lambda i: statistics[i].p_value)
    adjusted, highest = list(statistics), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * statistics[i].p_value))
        adjusted[i] = statistics[i].model_copy(update={"adjusted_p_value": highest})
    return adjusted


def _bin_reference(name: str, values: NDArray[np.float64], bins: int) -> ReferenceStatistic:
    if not len(values):
        raise InputError(f"reference statistic {name}: expected at least 1 value, got none")
    wanted = max(2, min(bins, len(values) // MIN_REFERENCE_PER_BIN))
    # Both ends belong in: a value is as common as two quantiles also when it is the lowest or the highest.
    quantiles = np.quantile(values, np.linspace(0, 1, wanted + 1))
    width = _TIE_WIDTH * max(float(np.abs(values).max()), _TIE_WIDTH)
    is_tied = np.diff(quantiles) <= width
    tied = np.unique(quantiles[:-1][is_tied])
    inner = quantiles[1:-1][~(is_tied[:-1] | is_tied[1:])]
    edges = np.unique(np.concatenate([inner, tied - width, tied + width]))
    counts = count_bins(edges.tolist(), values)
    return ReferenceStatistic(edges=edges.tolist(), counts=counts.tolist(), median=float(np.median(values)))


def _finite_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise InputError(f"statistic {name}: expected finite numbers, got {bad} NaN or infinite of {array.size}")
    return array
