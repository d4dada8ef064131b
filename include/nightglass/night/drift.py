"""Drift of image statistics: the population stability index (PSI) against the detector's reference."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nightglass.detector.reference import ReferenceStatistic
from nightglass.errors import InputError
from nightglass.records import StatisticDrift

#: Added to the count of every bin, so that an empty bin has a finite logarithm (Jeffreys' prior).
SMOOTHING = 0.5


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
