"""Image statistics that drift is measured on, from the pixels that the network sees."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Entries of `measure_statistics`, in order.
STATISTICS = ("brightness", "contrast", "sharpness", "colourfulness")
_LUMA = (299, 587, 114)  # ITU-R BT.601, in thousandths: integers, so that flat images give exactly 0
_LUMA_UNIT = 1000


def measure_statistics(pixels: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return the `STATISTICS` of a grey ``(H, W)`` or RGB ``(H, W, 3)`` image, uint8, H and W at least 3.

    Brightness and contrast are mean and standard deviation of the luma, in grey levels 0..255; sharpness is the
    standard deviation of its Laplacian, away from the border (its variance is Pech-Pacheco et al. 2000);
    colourfulness is that of Hasler & Süsstrunk 2003.
    """
    if pixels.ndim == 2:
        return *_measure_luma(pixels.astype(np.int16), 1), 0.0
    planes = [np.ascontiguousarray(pixels[..., channel]) for channel in range(3)]
    if np.array_equal(planes[0], planes[1]) and np.array_equal(planes[0], planes[2]):
        return measure_statistics(planes[0])
    red, green, blue = (plane.astype(np.int32) for plane in planes)
    red_green, red_green_spread = _mean_and_std(red - green)
    yellow_blue, yellow_blue_spread = _mean_and_std(red + green - 2 * blue)
    spread = math.hypot(red_green_spread, yellow_blue_spread / 2)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return *_measure_luma(luma, _LUMA_UNIT), spread + 0.3 * math.hypot(red_green, yellow_blue / 2)


def _measure_luma(luma: NDArray[Any], unit: int) -> tuple[float, float, float]:
    edges = luma[:-2, 1:-1] + luma[2:, 1:-1]
    edges += luma[1:-1, :-2]
    edges += luma[1:-1, 2:]
    edges -= 4 * luma[1:-1, 1:-1]
    brightness, contrast = _mean_and_std(luma)
    _, sharpness = _mean_and_std(edges)
    return brightness / unit, contrast / unit, sharpness / unit


def _mean_and_std(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and population standard deviation of integers; that of equal ones is exactly 0."""
    # The sum is exact in float64, and squares of differences from the mean cannot cancel.
    centred = values.astype(np.float64).ravel()
    mean = float(centred.sum()) / centred.size
    centred -= mean
    return mean, math.sqrt(float(np.einsum("i,i->", centred, centred)) / centred.size)  # not np.dot: it starts threads
