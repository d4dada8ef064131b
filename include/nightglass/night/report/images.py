"""Pictures inside the page: small JPEGs, and anomaly maps coloured so that they can lie over them.

Everything is encoded down a ladder of sizes and qualities until it fits its budget, so that a report
stays small whatever was scored.
"""

import base64
import io
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter, UnidentifiedImageError

from nightglass.errors import InputError
from nightglass.storage import Folder

if TYPE_CHECKING:
    import numpy as np

Size = tuple[int, int]

MAX_SOURCE_PIXELS = 50_000_000
# (longest side in pixels, JPEG or WebP quality), best first; the last is taken even when it does not fit.
_LADDER = ((640, 82), (512, 78), (448, 74), (384, 68), (320, 62), (256, 55), (192, 45), (128, 35), (96, 25), (64, 15))
_THUMBNAIL_SIDE = 128
# Map value -> red, green, blue, opacity. Clear where good images are too, then ever stronger.
_STOPS = (
    (0, (250, 204, 21, 0)),
    (88, (250, 204, 21, 0)),
    (128, (251, 146, 20, 115)),
    (190, (225, 29, 72, 180)),
    (255, (158, 10, 120, 215)),
)
_LIMIT_VALUE = 128  # as unusual as good images hardly ever get; outlined in the overlay
_OUTLINE = (255, 255, 255, 235)


def open_picture(source: Folder, name: str) -> Image.Image:
    """Read and decode one picture of the score folder.

    Raises:
        InputError: It is missing, lies outside the folder, is no image, or is too large.
    """
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise InputError(f"{name}: expected a file inside the score folder")
    try:
        data = source.read_bytes(name)
    except InputError as error:
        raise InputError(f"{name}: expected in the score folder, got nothing there") from error
    return decode_picture(data, name)


def decode_picture(data: bytes, name: str) -> Image.Image:
    """Decode one picture; ``name`` is what messages call it.

    Raises:
        InputError: It is no image, or is too large.
    """
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_SOURCE_PIXELS:
            raise InputError(f"{name}: expected at most {MAX_SOURCE_PIXELS:,} pixels")
        picture.draft(None, (_LADDER[0][0], _LADDER[0][0]))  # a JPEG decodes no larger than is needed
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{name}: expected a readable image, got {type(error).__name__}") from error
    return picture


def photo_uri(picture: Image.Image, budget: int) -> tuple[str, Size]:
    """Return a JPEG ``data:`` address of at most ``budget`` characters, and its size in pixels."""
    colour = picture.convert("RGB")

    def encode(side: int, quality: int) -> tuple[str, Size]:
        small = _shrink(colour, side)
        return _data_uri(small, "JPEG", quality=quality, optimize=True), small.size

    return _encode_within(encode, budget)


def thumbnail_uri(picture: Image.Image, budget: int) -> str:
    """Return a small JPEG ``data:`` address of at most ``budget`` characters."""
    return photo_uri(_shrink(picture, _THUMBNAIL_SIDE), budget)[0]


def overlay_uri(anomaly_map: Image.Image, size: Size, budget: int) -> str:
    """Return a see-through WebP ``data:`` address of an 8-bit anomaly map, to lie over a picture of ``size``."""
    grey = anomaly_map.convert("L")

    def encode(side: int, quality: int) -> tuple[str, Size]:
        scale = min(1.0, side / max(size))
        shape = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        coloured = colour_map(grey.resize(shape, Image.Resampling.BICUBIC))
        return _data_uri(coloured, "WEBP", quality=quality, alpha_quality=quality, method=2), shape

    return _encode_within(encode, budget)[0]


def colour_map(grey: Image.Image) -> Image.Image:
    """Colour an 8-bit map ``(H, W)`` by the legend's scale and outline what hardly any good image shows."""
    import numpy as np

    coloured = Image.fromarray(_lookup_table()[np.asarray(grey)], "RGBA")
    beyond = grey.point(lambda value: 255 if value >= _LIMIT_VALUE else 0)
    edge = ImageChops.subtract(beyond, beyond.filter(ImageFilter.MinFilter(3)))
    coloured.paste(_OUTLINE, mask=edge)
    return coloured


def legend_uri() -> str:
    """Return the overlay's colour scale, map values 0 to 255 from left to right, as a ``data:`` address."""
    return _data_uri(Image.fromarray(_lookup_table()[None, :, :], "RGBA"), "PNG", optimize=True)


@cache
def _lookup_table() -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    import numpy as np

    values = [value for value, _ in _STOPS]
    channels = [np.interp(range(256), values, [colour[i] for _, colour in _STOPS]) for i in range(4)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _encode_within(encode: Callable[[int, int], tuple[str, Size]], budget: int) -> tuple[str, Size]:
    """Go down the ladder until ``encode(side, quality)`` gives at most ``budget`` characters."""
    largest = float("inf")
    for side, quality in _LADDER:
        if side > largest and side != _LADDER[-1][0]:
            continue
        uri, size = encode(side, quality)
        if len(uri) <= budget:
            break
        # Bytes grow with the area, so steps that are far too large need no try.
        largest = 1.2 * side * (budget / len(uri)) ** 0.5
    return uri, size


def _shrink(picture: Image.Image, side: int) -> Image.Image:
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def _data_uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
