"""Bring whatever mode an image has to 8-bit grey or RGB."""

import numpy as np
from PIL import Image

_REDUCIBLE = ("L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "F")
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


def to_grey_or_rgb(image: Image.Image) -> Image.Image:
    """Return ``image`` in mode L where it is grey, else in RGB.

    16-bit images keep their upper 8 bits, transparent places become white. Grey stays one channel, as resizing it is
    three times cheaper and gives the same levels.
    """
    if image.mode in _SIXTEEN_BIT:
        # The 32-bit mode "I" is how Pillow opens some 16-bit files.
        values = np.asarray(image)
        upper = values >> 8 if values.dtype.itemsize == 2 else np.clip(values, 0, 65_535) >> 8
        return Image.fromarray(upper.astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
        return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", with_alpha.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    if image.mode in {"L", "1"}:
        return image.convert("L")
    return image.convert("RGB")


def shrink(image: Image.Image, smallest: tuple[int, int] | None) -> Image.Image:
    """Average a much larger image down to no less than ``smallest`` before its mode is changed, which copies it."""
    factor = 1 if smallest is None else min(image.width // smallest[0], image.height // smallest[1])
    return image.reduce(factor) if factor > 1 and image.mode in _REDUCIBLE else image
