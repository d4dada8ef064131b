"""From the bytes of an image file to its header facts and to pixels of the network's size.

Only the formats below are ever opened, since others (such as EPS) would start a program. Nothing larger than
``max_pixels`` is decoded, and a much larger JPEG is decoded at a reduced scale of its DCT.
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nightglass.images.color_modes import shrink, to_grey_or_rgb
from nightglass.images.jpeg import decode_jpeg
from nightglass.images.png import check_chunks
from nightglass.images.quarantine import QuarantinedError, QuarantineReason

#: Pillow's format name -> the suffixes that belong to it.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".mpo"),  # JPEGs of phones with more than one picture
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
}
_READERS = [name for name in FORMATS if name != "MPO"]  # Pillow's JPEG reader finds MPO by itself
_ORIENTATION_TAG = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: How much larger than asked a JPEG's reduced scale is at least: then a photograph's pixels differ from those of a full
#: decode by less than half a grey level on average. 1.9 lets 3000 rows come down to 375 for a network of 192.
_REDUCED_MARGIN = 1.9


@dataclass(frozen=True)
class HeaderFacts:
    """What the header of an image says; sizes in pixels, upright by EXIF."""

    format: str
    mode: str
    width: int
    height: int


@dataclass(frozen=True)
class ImageLimits:
    """What is accepted; ``check_suffix`` quarantines an image whose name belongs to another format."""

    max_pixels: int
    check_suffix: bool = True


def read_header(data: bytes, name: str, limits: ImageLimits) -> HeaderFacts:
    """Return the header facts of an image file, decoding nothing.

    Raises:
        QuarantinedError: The bytes are no image, the image is too large, or its name belongs to another format.
    """
    with _refusing():
        image, orientation = _open(data, name, limits)
        width, height = image.size
        if orientation in _SIDEWAYS:
            width, height = height, width
        return HeaderFacts(str(image.format), image.mode, width, height)


def decode_pixels(data: bytes, name: str, limits: ImageLimits, size: int | None) -> NDArray[np.uint8]:
    """Decode to grey ``(size, size)`` or RGB ``(size, size, 3)`` uint8, the whole image squeezed into the square.

    Upright by EXIF. With ``size`` None the image keeps its size. 16-bit images keep their upper 8 bits, transparent
    places become white. Grey stays one channel, which costs a third and loses nothing.

    Raises:
        QuarantinedError: As `read_header`, or the pixel data is truncated or corrupt.
    """
    with _refusing():
        image, orientation = _open(data, name, limits)
        picture = _decode(data, image, None if size is None else (size, size))
        if orientation in _UPRIGHT:
            picture = picture.transpose(_UPRIGHT[orientation])
        if size is not None:
            picture = picture.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(picture)


def decode_rgb(data: bytes, name: str, limits: ImageLimits, size: int | None) -> NDArray[np.uint8]:
    """Decode as `decode_pixels` does, always to RGB ``(H, W, 3)``.

    Raises:
        QuarantinedError: As `decode_pixels`.
    """
    pixels = decode_pixels(data, name, limits, size)
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)


def decode_picture(data: bytes, name: str, limits: ImageLimits, longest_side: int) -> Image.Image:
    """Decode to an RGB picture for people, upright, its proportions kept, no side longer than ``longest_side``.

    Raises:
        QuarantinedError: As `decode_rgb`.
    """
    with _refusing():
        image, orientation = _open(data, name, limits)
        scale = min(1.0, longest_side / max(image.size))
        picture = _decode(data, image, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        if orientation in _UPRIGHT:
            picture = picture.transpose(_UPRIGHT[orientation])
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
        return picture.convert("RGB")


def _decode(data: bytes, image: Image.Image, wanted: tuple[int, int] | None) -> Image.Image:
    """Decode to grey or RGB, as stored; a much larger image to about twice ``wanted`` (width, height)."""
    if image.format in {"JPEG", "MPO"}:
        smallest = wanted and (math.ceil(_REDUCED_MARGIN * wanted[0]), math.ceil(_REDUCED_MARGIN * wanted[1]))
        return to_grey_or_rgb(decode_jpeg(data, image, smallest))
    return to_grey_or_rgb(shrink(image, wanted and (2 * wanted[0], 2 * wanted[1])))


def _open(data: bytes, name: str, limits: ImageLimits) -> tuple[Image.Image, int]:
    """Return the image, nothing decoded, and its orientation by EXIF (1 is upright)."""
    if not data:
        raise QuarantinedError(QuarantineReason.EMPTY_FILE, "0 bytes")
    image = Image.open(io.BytesIO(data), formats=_READERS)
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        detail = f"{image.width} x {image.height} pixels, limit {limits.max_pixels}"
        raise QuarantinedError(QuarantineReason.TOO_MANY_PIXELS, detail)
    suffixes = FORMATS.get(str(image.format), ())
    if limits.check_suffix and not name.lower().endswith(suffixes):
        raise QuarantinedError(QuarantineReason.WRONG_SUFFIX, f"content is {image.format}, the name says otherwise")
    # Pillow decodes the whole of a PNG to look for EXIF data behind its pixels.
    if image.format == "PNG" and not check_chunks(data):
        return image, 1
    orientation = image.getexif().get(_ORIENTATION_TAG)
    return image, orientation if isinstance(orientation, int) else 1  # some files have texts there


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever a decoder raises for bad bytes into a quarantine reason."""
    try:
        yield
    except QuarantinedError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, where it is still on
        raise QuarantinedError(QuarantineReason.TOO_MANY_PIXELS, str(error)) from error
    except UnidentifiedImageError as error:
        raise QuarantinedError(QuarantineReason.NOT_AN_IMAGE, "the content is no supported image") from error
    except MemoryError as error:
        raise QuarantinedError(QuarantineReason.TOO_MANY_PIXELS, "too large for the memory") from error
    except (
        Exception
    ) as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError, IndexError, zlib.error …
        text = str(error) or type(error).__name__
        truncated = any(word in text.lower() for word in ("truncated", "unexpected end", "incomplete", "eof"))
        reason = QuarantineReason.TRUNCATED if truncated else QuarantineReason.CORRUPT
        raise QuarantinedError(reason, text) from error


def let_limits_decide() -> None:
    """Set Pillow up for the whole process.

    Its own size limit is off, as every image here is measured against `ImageLimits` instead; so are its warnings, of
    which one file may bring thousands into the log.
    """
    Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")
