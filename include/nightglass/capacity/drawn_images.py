"""Photograph-like JPEGs of any size, drawn fast: a few are encoded, the others differ in a comment."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

_DRAWN = 3
_QUALITY = 90


def draw_jpegs(folder: Path, images: int, megapixels: float) -> None:
    """Write so many JPEGs of 4 to 3, each with a content of its own.

    Args:
        folder: An empty folder.
        images: How many.
        megapixels: Of each.
    """
    height = max(8, round((megapixels * 1e6 * 3 / 4) ** 0.5))
    width = max(8, round(height * 4 / 3))
    drawn = [_encode(seed, width, height) for seed in range(min(_DRAWN, images))]
    for number in range(images):
        (folder / f"{number:06d}.jpg").write_bytes(_mark(drawn[number % len(drawn)], number))


def _encode(seed: int, width: int, height: int) -> bytes:
    """Draw soft shapes with the grain of a sensor, so that the file is about as large as a photograph's."""
    random = np.random.default_rng(seed)
    soft = Image.fromarray(random.integers(40, 216, (12, 16, 3), dtype=np.uint8)).resize((width, height), 3)
    tile = random.normal(0, 5, (256, 256, 1)).astype(np.int16)
    grain = np.tile(tile, (-(-height // 256), -(-width // 256), 1))[:height, :width]
    pixels = np.clip(np.asarray(soft, np.int16) + grain, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _mark(jpeg: bytes, number: int) -> bytes:
    """Put a comment behind the start of the image."""
    comment = b"%08d" % number
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]
