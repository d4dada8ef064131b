"""Read one image file: bounded, checked against the manifest, and clear about what went wrong."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nightglass.collections import Scoring
from nightglass.errors import InputError
from nightglass.images.decoding import ImageLimits
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.storage import Folder


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image to score, as the manifest has it; ``name_on_disk`` opens it, ``path`` names it to people."""

    path: str
    name_on_disk: str
    size_bytes: int
    sha256: str


def limits_of(options: Scoring) -> ImageLimits:
    """Return the decoder's limits of a collection."""
    return ImageLimits(options.max_pixels, options.suffix_mismatch == "quarantine")


def read_image(folder: Folder, name_on_disk: str, max_file_bytes: int) -> bytes:
    """Return the bytes of an image.

    Raises:
        QuarantinedError: The file is gone, may not be read, or is larger than ``max_file_bytes``.
        StorageError: The store does not answer or refuses; that concerns every image, so the run stops.
    """
    try:
        if folder.is_local:
            with Path(folder.path(name_on_disk)).open("rb") as file:
                # Not the limit alone: room for that many bytes would be made first.
                data = file.read(min(os.fstat(file.fileno()).st_size, max_file_bytes) + 1)
        else:
            data = folder.read_bytes(name_on_disk)
    except OSError as error:
        raise QuarantinedError(QuarantineReason.UNREADABLE, error.strerror or type(error).__name__) from error
    except InputError as error:
        raise QuarantinedError(QuarantineReason.UNREADABLE, "no longer there") from error
    if len(data) > max_file_bytes:
        detail = f"more than {max_file_bytes} bytes"
        raise QuarantinedError(QuarantineReason.TOO_LARGE_FILE, detail)
    return data


def check_unchanged(data: bytes, row: ImageRow) -> None:
    """Raise QuarantinedError when the content is no longer what the manifest lists."""
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise QuarantinedError(QuarantineReason.CHANGED, "the content changed after it was listed")
