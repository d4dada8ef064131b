"""From distances to image scores, and the image threshold that keeps a stated false-alarm rate."""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nightglass.errors import ModelError

Floats = NDArray[np.float32]
_MAD_TO_SIGMA = 1.4826  # of a normal distribution


class Scale(BaseModel):
    """Median and robust deviation that distances of held-out good images have; makes kinds of distance comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    center: float
    scale: float = Field(gt=0)

    @classmethod
    def of(cls, held_out: Floats) -> "Scale":
        """Measure distances ``(N,)`` by the median absolute deviation, so that a few odd images hardly count."""
        distances = held_out.astype(np.float64)
        center = float(np.median(distances))
        scale = _MAD_TO_SIGMA * float(np.median(np.abs(distances - center)))
        if scale <= 1e-9:
            scale = max(float(distances.std()), 1e-6 * max(center, 1.0))
        return cls(center=center, scale=scale)

    def apply(self, distances: Floats) -> NDArray[np.float64]:
        """Return ``(distances - center) / scale``."""
        return (distances.astype(np.float64) - self.center) / self.scale


class Calibration(BaseModel):
    """How distances become scores: ``image_score`` is the mean of the image-level and the patch-level score.

    ``false_alarm_rate`` is the share of good images expected at or above ``image_threshold``: the asked rate, or
    ``1 / (N + 1)`` where the number of good images cannot support a smaller one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_level: Scale
    patch_level: Scale
    image_threshold: float
    false_alarm_rate: float
    num_images: int

    def score(self, image_distances: Floats, patch_distances: Floats) -> NDArray[np.float64]:
        """Return image scores ``(N,)`` of image-level and patch-level distances ``(N,)``; good images lie near 0."""
        return (self.image_level.apply(image_distances) + self.patch_level.apply(patch_distances)) / 2


def calibrate(image_distances: Floats, patch_distances: Floats, false_alarm_rate: float) -> Calibration:
    """Calibrate on the distances ``(N,)`` of good images that were each compared with the others only.

    Raises:
        ModelError: There are too few images to know what is usual.
    """
    count = len(image_distances)
    if count < 2:
        raise ModelError(f"calibration: expected at least 2 good images, got {count}")
    image_level, patch_level = Scale.of(image_distances), Scale.of(patch_distances)
    scores = (image_level.apply(image_distances) + patch_level.apply(patch_distances)) / 2
    return Calibration(
        image_level=image_level,
        patch_level=patch_level,
        image_threshold=conformal_threshold(scores, false_alarm_rate),
        false_alarm_rate=max(false_alarm_rate, 1 / (count + 1)),
        num_images=count,
    )


def conformal_threshold(held_out: NDArray[np.float64], false_alarm_rate: float) -> float:
    """Return the threshold that a new good image reaches with at most ``false_alarm_rate``.

    It is the conformal quantile, the ``ceil((N + 1)(1 - rate))``-th smallest of the held-out scores ``(N,)`` (Vovk et
    al. 2005; Barber et al. 2021 for leave-one-out), and just above that score, since an image *at* the threshold is
    anomalous.
    """
    rank = min(math.ceil((len(held_out) + 1) * (1 - false_alarm_rate)), len(held_out))
    return float(np.nextafter(np.sort(held_out)[rank - 1], np.inf))
