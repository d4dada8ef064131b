"""Read one image file: bounded, checked against the manifest, and clear about what went wrong."""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass

from nightglass.collections import Scoring
from nightglass.errors import InputError, StorageError
from nightglass.images.decoding import ImageLimits
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.storage import Folder, Folders

#: What a network file system says while its server is away, or a machine that has run out of something: of every file.
_NOT_THE_FILE = frozenset(
    {errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EMFILE, errno.ENFILE}
)


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


def read_image(folder: Folder | Folders, name_on_disk: str, max_file_bytes: int) -> bytes:
    """Return the bytes of an image; of a file that is larger than ``max_file_bytes`` one byte more is read.

    Raises:
        QuarantinedError: The file is gone, no regular file, may not be read, or is larger than ``max_file_bytes``.
        StorageError: The store does not answer or refuses; that concerns every image, so the run stops.
    """
    try:
        if folder.is_local:
            data = _read_local(folder.path(name_on_disk), max_file_bytes + 1)
        else:
            data = folder.read_start(name_on_disk, max_file_bytes + 1)
    except OSError as error:
        if error.errno in _NOT_THE_FILE:
            raise StorageError(f"{folder.url}/{name_on_disk}: {error.strerror}") from error
        raise QuarantinedError(QuarantineReason.UNREADABLE, error.strerror or type(error).__name__) from error
    except InputError as error:
        raise QuarantinedError(QuarantineReason.UNREADABLE, "no longer there") from error
    if len(data) > max_file_bytes:
        detail = f"more than {max_file_bytes} bytes"
        raise QuarantinedError(QuarantineReason.TOO_LARGE_FILE, detail)
    return data


def _read_local(path: str, max_bytes: int) -> bytes:
    """Return at most ``max_bytes`` of a file, by the system's calls: half the time of a file object for small ones."""
    # It may be another entry by now than the one that was listed, and a pipe would be waited for without end.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        entry = os.fstat(file)
        if not stat.S_ISREG(entry.st_mode):
            raise QuarantinedError(QuarantineReason.NOT_A_FILE, "expected a regular file")
        # Not the limit alone: room for that many bytes would be made first.
        wanted = min(entry.st_size + 1, max_bytes)
        data = b""
        while len(data) < wanted and (piece := os.read(file, wanted - len(data))):
            data += piece
        return data
    finally:
        os.close(file)


def check_unchanged(data: bytes, row: ImageRow) -> None:
    """Raise QuarantinedError when the content is no longer what the manifest lists."""
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise QuarantinedError(QuarantineReason.CHANGED, "the content changed after it was listed")
