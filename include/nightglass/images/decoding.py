"""From the bytes of an image file to its header facts and to pixels of the network's size.

Only the formats below are ever opened, since others (such as EPS) would start a program. Nothing larger than
``max_pixels`` is decoded, and a much larger JPEG is decoded at a reduced scale of its DCT.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

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
_PADDING = re.compile(r"(?P<count>\d+) extraneous bytes before marker 0xd9")  # the end of the image
_MAX_PADDING = 8  # bytes that some encoders leave before the end; lost picture data leaves more
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
_REDUCIBLE = ("L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "F")
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


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
    with _refusing(), _open(data, name, limits) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION_TAG, 1) in _SIDEWAYS:
            width, height = height, width
        return HeaderFacts(str(image.format), image.mode, width, height)


def decode_rgb(data: bytes, name: str, limits: ImageLimits, size: int | None) -> NDArray[np.uint8]:
    """Decode to RGB ``(size, size, 3)`` uint8, the whole image squeezed into the square; upright by EXIF.

    With ``size`` None the image keeps its size: ``(H, W, 3)``. 16-bit images keep their upper 8 bits,
    transparent places become white.

    Raises:
        QuarantinedError: As `read_header`, or the pixel data is truncated or corrupt.
    """
    with _refusing(), _open(data, name, limits) as image:
        rgb = _decode_jpeg(data, image, size) if image.format in {"JPEG", "MPO"} else None
        if rgb is None:
            rgb = _to_rgb(_shrink(image, size))
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
        if method is not None:
            rgb = rgb.transpose(method)
        if size is not None:
            rgb = rgb.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(rgb)


def _decode_jpeg(data: bytes, image: Image.Image, size: int | None) -> Image.Image | None:
    """Decode strictly with libjpeg-turbo; None for what it does not do (CMYK), which Pillow then decodes.

    Pillow shows damaged JPEG data as grey areas without a word; libjpeg's warning is taken as the error it is.
    Twice the asked size keeps the reduced scale within a grey level of a full decode.
    """
    if image.mode not in {"RGB", "L"}:
        return None
    import simplejpeg

    smallest = {} if size is None else {"min_height": 2 * size, "min_width": 2 * size, "min_factor": 1}
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=True, **smallest)
    except ValueError as error:
        if not _is_harmless(str(error)):
            truncated = "Premature end of JPEG file" in str(error)
            reason = QuarantineReason.TRUNCATED if truncated else QuarantineReason.CORRUPT
            raise QuarantinedError(reason, str(error)) from error
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=False, **smallest)
    return Image.fromarray(pixels)


def _is_harmless(warning: str) -> bool:
    """Tell a little padding before the end from picture data that went wrong."""
    padding = _PADDING.search(warning)
    return padding is not None and int(padding["count"]) <= _MAX_PADDING


def _open(data: bytes, name: str, limits: ImageLimits) -> Image.Image:
    if not data:
        raise QuarantinedError(QuarantineReason.EMPTY_FILE, "0 bytes")
    image = Image.open(io.BytesIO(data), formats=_READERS)
    if image.format == "PNG":
        # Pillow does not check the checksums of pixel data while decoding; a verified image must be opened again.
        image.verify()
        image = Image.open(io.BytesIO(data), formats=_READERS)
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        detail = f"{image.width} x {image.height} pixels, limit {limits.max_pixels}"
        raise QuarantinedError(QuarantineReason.TOO_MANY_PIXELS, detail)
    suffixes = FORMATS.get(str(image.format), ())
    if limits.check_suffix and not name.lower().endswith(suffixes):
        raise QuarantinedError(QuarantineReason.WRONG_SUFFIX, f"content is {image.format}, the name says otherwise")
    return image


def _shrink(image: Image.Image, size: int | None) -> Image.Image:
    """Average a much larger image down to about twice ``size`` before its mode is changed, which copies it."""
    factor = 1 if size is None else min(image.size) // (2 * size)
    return image.reduce(factor) if factor > 1 and image.mode in _REDUCIBLE else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        # The 32-bit mode "I" is how Pillow opens some 16-bit files.
        values = np.asarray(image)
        upper = values >> 8 if values.dtype.itemsize == 2 else np.clip(values, 0, 65_535) >> 8
        return Image.fromarray(upper.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
        return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", with_alpha.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    return image.convert("RGB")


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
    """Turn off Pillow's own, process-wide size limit: every image here is measured against `ImageLimits` instead."""
    Image.MAX_IMAGE_PIXELS = None
