"""Image statistics that drift is measured on, from the pixels that the network sees."""

import math

import numpy as np
from numpy.typing import NDArray

#: Columns of `measure_statistics`, in order.
STATISTICS = ("brightness", "contrast", "sharpness", "colourfulness")
_LUMA = (299, 587, 114)  # ITU-R BT.601, in thousandths: integers, so that flat images give exactly 0
_LUMA_UNIT = 1000


def measure_statistics(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the statistics ``(N, 4)`` of RGB images ``(N, H, W, 3)`` uint8, H and W at least 3.

    Brightness and contrast are mean and standard deviation of the luma, in grey levels 0..255; sharpness is the
    standard deviation of its Laplacian, away from the border (its variance is Pech-Pacheco et al. 2000);
    colourfulness is that of Hasler & Süsstrunk 2003.
    """
    return np.array([_measure(image) for image in pixels], np.float32).reshape(-1, len(STATISTICS))


def _measure(image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
        luma, unit, colourfulness = image[..., 0].astype(np.int32), 1, 0.0
    else:
        red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
        luma, unit = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue, _LUMA_UNIT
        red_green, red_green_spread = _mean_and_std(red - green)
        yellow_blue, yellow_blue_spread = _mean_and_std(red + green - 2 * blue)
        spread = math.hypot(red_green_spread, yellow_blue_spread / 2)
        colourfulness = spread + 0.3 * math.hypot(red_green, yellow_blue / 2)
    edges = luma[:-2, 1:-1] + luma[2:, 1:-1]
    edges += luma[1:-1, :-2]
    edges += luma[1:-1, 2:]
    edges -= 4 * luma[1:-1, 1:-1]
    brightness, contrast = _mean_and_std(luma)
    _, sharpness = _mean_and_std(edges)
    return brightness / unit, contrast / unit, sharpness / unit, colourfulness


def _mean_and_std(values: NDArray[np.int32]) -> tuple[float, float]:
    """Mean and population standard deviation, from exact integer sums that cannot cancel."""
    flat = values.ravel().astype(np.int64)
    total, squares = int(flat.sum()), int(np.einsum("i,i->", flat, flat))  # not np.dot, which starts threads
    return total / flat.size, math.sqrt(squares * flat.size - total * total) / flat.size
