"""Counts of one image statistic of a night, taken as the values stream by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nightglass.detector.reference import count_bins
from nightglass.errors import InputError

#: Values kept for a night's median; up to here it is exact.
MEDIAN_SAMPLE_SIZE = 65_536


class StatisticTally:
    """Counts per bin and the median of one statistic; memory does not grow with the night.

    The median is exact up to ``MEDIAN_SAMPLE_SIZE`` values and that of a seeded uniform sample beyond;
    neither it nor the counts depend on how the values were cut into chunks.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.counts: NDArray[np.int64] = np.zeros(len(edges) + 1, dtype=np.int64)
        self._edges = edges
        self._random = np.random.default_rng(0)
        self._limit = 1.0
        # Rows of (priority, value); the kept ones are all those with a priority below the limit, which
        # only halves: the same ones stay however the values were cut.
        self._sample: NDArray[np.float64] = np.empty((0, 2))

    def add(self, values: ArrayLike) -> None:
        """Count a chunk of finite ``values (N,)``, in the reference's unit.

        Raises:
            InputError: A value is NaN or infinite.
        """
        chunk = np.asarray(values, dtype=np.float64).reshape(-1)
        self.counts += count_bins(self._edges, chunk)
        rows = np.column_stack([self._random.random(len(chunk)), chunk])
        self._sample = np.concatenate([self._sample, rows[rows[:, 0] < self._limit]])
        while len(self._sample) > MEDIAN_SAMPLE_SIZE:
            self._limit /= 2
            self._sample = self._sample[self._sample[:, 0] < self._limit]

    @property
    def median(self) -> float:
        """Median of the values so far.

        Raises:
            InputError: Nothing was added yet.
        """
        if not len(self._sample):
            raise InputError("statistic of the night: expected at least 1 value, got none")
        return float(np.median(self._sample[:, 1]))
