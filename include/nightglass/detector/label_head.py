"""The label head: what analysts' verdicts add to the image score of a detector that knows good images only."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightglass.detector.memory_bank import Standardization

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_FARTHEST = 8.0  # standard deviations that a feature counts
_SCORE_RANGE = (-3.0, 10.0)
_SCORE_UNIT = 3.0


@dataclass(frozen=True)
class LabelHead:
    """A fitted head: a weighted sum of kernels around known images, a line in the good-only score, and a constant.

    ``support (F, S)`` are the standardized features of the known images, ``coefficients (S,)`` their part; ``center``
    and ``spread`` are what the sum is for good images. ``weight`` grows with the number of labelled defects.
    """

    standardization: Standardization
    support: Floats
    coefficients: Floats
    intercept: float
    slope: float
    width: float
    center: float
    spread: float
    weight: float
    num_defects: int

    def score(self, features: Floats, scores: Doubles) -> Doubles:
        """Return what is added ``(N,)`` to the good-only scores: near 0 for good images, positive near known defects.

        Args:
            features: ``(N, F)`` of `pool_features`.
            scores: ``(N,)``, good-only and calibrated.
        """
        rows = standardize(self.standardization, features)
        squared = (rows**2).sum(axis=1)[:, None] + self._support_norms - 2 * (rows @ self.support)
        raw = kernel(squared, self.width) @ self.coefficients + self.intercept + self.slope * bound(scores)
        return np.asarray(self.weight * (raw - self.center) / self.spread, dtype=np.float64)

    @cached_property
    def _support_norms(self) -> Floats:
        return np.asarray((self.support**2).sum(axis=0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as arrays, for a safetensors file."""
        numbers = [self.intercept, self.slope, self.width, self.center, self.spread, self.weight, self.num_defects]
        return {
            "mean": self.standardization.mean,
            "std": self.standardization.std,
            "support": self.support,
            "coefficients": self.coefficients,
            "numbers": np.array(numbers, dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "LabelHead":
        """Return the head whose `arrays` these are."""
        intercept, slope, width, center, spread, weight, num_defects = arrays["numbers"].tolist()
        return cls(
            standardization=Standardization(arrays["mean"], arrays["std"]),
            support=arrays["support"],
            coefficients=arrays["coefficients"],
            intercept=intercept,
            slope=slope,
            width=width,
            center=center,
            spread=spread,
            weight=weight,
            num_defects=int(num_defects),
        )


def pool_features(embeddings: Floats, patches: Floats) -> Floats:
    """Return what the head looks at, ``(N, F)`` with ``F = D // 3 + 2C``.

    These are the first third of the embedding, which holds the averages of its (first) stage, and the mean and maximum
    over places of the patches: the rest of the embedding costs more and ranks no better.

    Args:
        embeddings: ``(N, D)``.
        patches: ``(N, C, h, w)``.
    """
    places = patches.reshape(*patches.shape[:2], -1)
    averages = embeddings[:, : embeddings.shape[1] // 3]
    return np.asarray(np.concatenate([averages, places.mean(axis=2), places.max(axis=2)], axis=1), dtype=np.float32)


def standardize(standardization: Standardization, features: Floats) -> Floats:
    """Return features ``(N, F)`` in deviations of the good images, bounded, so that a single one never decides."""
    return np.asarray(np.clip(standardization.apply(features), -_FARTHEST, _FARTHEST))


def kernel(squared: NDArray[Any], width: float) -> NDArray[Any]:
    """Return the inverse quadratic kernel of squared distances; it reaches far, so that its width hardly matters."""
    return np.asarray(1 / (1 + squared / width))


def bound(scores: Doubles) -> Doubles:
    """Return good-only scores ``(N,)`` as the head's line takes them: a few units, and never more."""
    return np.asarray(np.clip(scores, *_SCORE_RANGE) / _SCORE_UNIT, dtype=np.float64)
