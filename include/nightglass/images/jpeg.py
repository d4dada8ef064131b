"""Decode JPEGs strictly, and much larger ones at a reduced scale of their DCT."""

import re

import numpy as np
from PIL import Image

from nightglass.images.quarantine import QuarantinedError, QuarantineReason

_PADDING = re.compile(r"(?P<count>\d+) extraneous bytes before marker 0xd9")  # the end of the image
_MAX_PADDING = 8  # bytes that some encoders leave before the end; lost picture data leaves more
_EIGHTHS = (1, 2, 4)  # scales with fast code in libjpeg-turbo: 3/8 takes longer than 4/8 and is no better


_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def decode_jpeg(data: bytes, image: Image.Image, smallest: tuple[int, int] | None) -> Image.Image:
    """Decode strictly with libjpeg-turbo, in the image's mode.

    Pillow shows damaged JPEG data as grey areas without a word; libjpeg's warning is taken as the error it is.

    Args:
        data: The file.
        image: The same file as Pillow opened it, nothing decoded.
        smallest: Width and height that suffice; the scale is the smallest that gives no less. None is full scale.

    Raises:
        QuarantinedError: The data is truncated or corrupt.
    """
    import simplejpeg

    space = _SPACES[image.mode]
    scaled = {} if smallest is None else _scale(image.size, smallest)
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=False)
        if (width, height) != image.size:  # what was measured against the limits must be what is decoded
            detail = f"two sizes in one file: {image.width} x {image.height} and {width} x {height}"
            raise QuarantinedError(QuarantineReason.CORRUPT, detail)
        pixels = simplejpeg.decode_jpeg(data, space, strict=True, **scaled)
    except ValueError as error:
        if not _is_harmless(str(error)):
            truncated = "Premature end of JPEG file" in str(error)
            reason = QuarantineReason.TRUNCATED if truncated else QuarantineReason.CORRUPT
            raise QuarantinedError(reason, str(error)) from error
        pixels = simplejpeg.decode_jpeg(data, space, strict=False, **scaled)
    if image.mode == "CMYK":
        return Image.fromarray(np.invert(pixels), "CMYK")  # stored the other way round since Adobe did so
    return Image.fromarray(pixels[..., 0] if image.mode == "L" else pixels)


def _scale(size: tuple[int, int], smallest: tuple[int, int]) -> dict[str, int]:
    for eighths in _EIGHTHS:
        width, height = (-(-side * eighths // 8) for side in size)
        if width >= smallest[0] and height >= smallest[1]:
            return {"min_width": width, "min_height": height, "min_factor": 1}
    return {}


def _is_harmless(warning: str) -> bool:
    """Tell a little padding before the end from picture data that went wrong."""
    padding = _PADDING.search(warning)
    return padding is not None and int(padding["count"]) <= _MAX_PADDING
