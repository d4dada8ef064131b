"""The original file of an image, removed only where it still has the content that is to go."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightglass.errors import InputError
from nightglass.storage import Folder, explaining, open_folder

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Original:
    """A file by its name as it is on disk, below a folder of images."""

    images_url: str
    raw_name: bytes

    @property
    def name(self) -> str:
        """The name as the file system takes it."""
        return os.fsdecode(self.raw_name)


def remove_original(original: Original, digest: str | None, storage_options: Mapping[str, Any] | None) -> bool:
    """Remove an image's file; return whether it was there.

    Args:
        original: Which file.
        digest: Sha256 of the content that is to go; a file with another one stays. None: whatever it has, it could
            not be read when it was listed.
        storage_options: Credentials of remote folders.

    Raises:
        InputError: It lies outside of its folder.
        StorageError: The store does not answer, or refuses.
    """
    images = open_folder(original.images_url, storage_options)
    _check_inside(images, original.name)
    if digest is not None and _hash(images, original.name) != digest:
        return False
    with explaining(f"{images.url}/{original.name}"):
        try:
            images.fs.rm_file(images.path(original.name))  # this key alone, whatever begins as it does
        except FileNotFoundError:
            return False
    return True


def _check_inside(images: Folder, name: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise InputError(f"{images.url}: expected an image inside of it, got a name that leads out")
    if images.is_local and not Path(images.path(name)).parent.resolve().is_relative_to(Path(images.root).resolve()):
        raise InputError(f"{images.url}: expected an image inside of it, got one behind a link that leads out")


def _hash(images: Folder, name: str) -> str | None:
    try:
        with images.open_read(name) as file:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
            return digest.hexdigest()
    except InputError:
        return None  # it is gone
