"""From distances to image scores, and the image threshold that keeps a stated false-alarm rate."""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nightglass.errors import ModelError

_MAD_TO_SIGMA = 1.4826  # of a normal distribution


class Calibration(BaseModel):
    """How distances become scores; ``image_score = (distance - center) / scale``.

    ``false_alarm_rate`` is the share of good images expected at or above ``image_threshold``: the asked rate, or
    ``1 / (N + 1)`` where the number of good images cannot support a smaller one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    center: float
    scale: float = Field(gt=0)
    image_threshold: float
    false_alarm_rate: float
    num_images: int

    def score(self, distances: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return image scores ``(N,)`` of mean neighbour distances ``(N,)``; 0 is a typical good image."""
        return (distances.astype(np.float64) - self.center) / self.scale


def calibrate(held_out: NDArray[np.float32], false_alarm_rate: float) -> Calibration:
    """Calibrate on the distances ``(N,)`` of good images that were each compared with the others only.

    The threshold is the conformal quantile: the ``ceil((N + 1)(1 - rate))``-th smallest held-out score, so that a
    new good image reaches it with at most that rate (Vovk et al. 2005; Barber et al. 2021 for leave-one-out).
    It lies just above that score, since an image *at* the threshold is anomalous.

    Raises:
        ModelError: There are too few images to know what is usual.
    """
    count = len(held_out)
    if count < 2:
        raise ModelError(f"calibration: expected at least 2 good images, got {count}")
    distances = held_out.astype(np.float64)
    center = float(np.median(distances))
    scale = _MAD_TO_SIGMA * float(np.median(np.abs(distances - center)))
    if scale <= 1e-9:
        scale = max(float(distances.std()), 1e-6 * max(center, 1.0))
    scores = np.sort((distances - center) / scale)
    rank = min(math.ceil((count + 1) * (1 - false_alarm_rate)), count)
    return Calibration(
        center=center,
        scale=scale,
        image_threshold=float(np.nextafter(scores[rank - 1], np.inf)),
        false_alarm_rate=max(false_alarm_rate, 1 / (count + 1)),
        num_images=count,
    )
