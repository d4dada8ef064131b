"""Decode JPEGs strictly, and much larger ones at a reduced scale of their DCT."""

import re

import numpy as np
from PIL import Image

from nightglass.images.quarantine import QuarantinedError, QuarantineReason

_PADDING = re.compile(r"(?P<count>\d+) extraneous bytes before marker 0xd9")  # the end of the image
_MAX_PADDING = 8  # bytes that some encoders leave before the end; lost picture data leaves more
_EIGHTHS = (1, 2, 4)  # scales with fast code in libjpeg-turbo: 3/8 takes longer than 4/8 and is no better


#: A progressive JPEG of an ordinary program has about ten scans. Each is a pass over all of the picture, so that a file
#: of a few hundred kilobytes could keep a core for minutes.
_MOST_SCANS = 100
_SCAN = b"\xff\xda"
_END, _WITHOUT_LENGTH = 0xD9, (0x01, 0xD8)
#: Not the zero behind an 0xff among picture data, nor a restart.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def decode_jpeg(data: bytes, image: Image.Image, smallest: tuple[int, int] | None) -> Image.Image:
    """Decode strictly with libjpeg-turbo, in the image's mode.

    Pillow shows damaged JPEG data as grey areas without a word; libjpeg's warning is taken as the error it is.

    Args:
        data: The file.
        image: The same file as Pillow opened it, nothing decoded.
        smallest: Width and height that suffice; the scale is the smallest that gives no less. None is full scale.

    Raises:
        QuarantinedError: The data is truncated or corrupt, or has more scans than any picture needs.
    """
    if data.count(_SCAN) > _MOST_SCANS and (scans := _count_scans(data)) > _MOST_SCANS:
        raise QuarantinedError(QuarantineReason.CORRUPT, f"{scans} scans, limit {_MOST_SCANS}")
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


def _count_scans(data: bytes) -> int:
    """Count the scans up to the end of the picture; what looks like one in a segment or behind the end is none."""
    scans, place = 0, 0
    while (found := _MARKER.search(data, place)) and (marker := found[1][0]) != _END:
        scans += found[0] == _SCAN
        place = found.end()
        if marker not in _WITHOUT_LENGTH:
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
    return scans


def _is_harmless(warning: str) -> bool:
    """Tell a little padding before the end from picture data that went wrong."""
    padding = _PADDING.search(warning)
    return padding is not None and int(padding["count"]) <= _MAX_PADDING
