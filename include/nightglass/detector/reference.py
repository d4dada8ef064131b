"""What a detector remembers of its training images' statistics: quantile bins that drift is counted in.

The outer ends are open, so a value beyond anything that the training images hold still counts. Only counts are
needed of a night, so its values stream through in chunks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from nightglass.errors import InputError
from nightglass.records import Record

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
