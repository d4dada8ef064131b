"""List the images of a folder, local or remote, without following links out of it."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from nightglass.errors import InputError
from nightglass.images.quarantine import QuarantineReason
from nightglass.storage import Folder, explaining


@dataclass(frozen=True)
class ListedImage:
    """A file that counts as an image by its name.

    ``path`` is relative and POSIX; bytes that are not UTF-8 stand in it in hexadecimal and the name on disk is then
    in ``raw_path``. ``arrived_at`` is when the file came to be what it is, whatever its own time
    says. ``reason`` is set when the entry cannot be read as a file at all.
    """

    path: str
    size_bytes: int
    modified_at: datetime | None
    arrived_at: datetime | None
    raw_path: bytes | None = None
    reason: QuarantineReason | None = None
    detail: str = ""

    @property
    def name_on_disk(self) -> str:
        """The name that opens the file."""
        return self.path if self.raw_path is None else os.fsdecode(self.raw_path)


@dataclass(frozen=True)
class Listing:
    """The images of a folder in the order of their paths, and how many other files were ignored."""

    images: list[ListedImage]
    ignored: int


def list_images(folder: Folder, suffixes: tuple[str, ...]) -> Listing:
    """List the images below ``folder`` whose suffix (in any case) is one of ``suffixes``.

    Hidden files and files in hidden folders are ignored. A folder so deep that the system cannot open it is listed
    itself, with a slash at its end and a reason.

    Raises:
        InputError: The folder does not exist, or is a file.
    """
    images: list[ListedImage] = []
    ignored = 0
    walk = _walk_local if folder.is_local else _walk_remote
    for name, describe in walk(folder):
        hidden = any(part.startswith(".") for part in name.split("/"))
        if hidden or not name.lower().endswith((*suffixes, "/")):
            ignored += 1
        elif (image := describe()) is not None:
            images.append(image)
    images = _tell_apart(images)
    images.sort(key=lambda image: image.path.encode())
    return Listing(images, ignored)


def _tell_apart(images: list[ListedImage]) -> list[ListedImage]:
    """Give an escaped name that is also the plain name of another file a short hash of its own."""
    plain = {image.path for image in images if image.raw_path is None}
    return [
        replace(image, path=f"{image.path} ({hashlib.sha256(image.raw_path).hexdigest()[:8]})")
        if image.raw_path is not None and image.path in plain
        else image
        for image in images
    ]


Entry = tuple[str, Callable[[], ListedImage | None]]


def _walk_local(folder: Folder) -> Iterator[Entry]:
    root = Path(folder.root)
    with explaining(folder.url):
        if not root.exists():
            raise InputError(f"{folder.url}: expected a folder of images, got nothing there")
        if not root.is_dir():
            raise InputError(f"{folder.url}: expected a folder of images, got a file")
        real_root = root.resolve()
        skipped = len(str(root).rstrip("/")) + 1
        pending = [root]
        while pending:
            scanned = pending.pop()
            found = _scan(scanned)
            if found is None:
                yield f"{str(scanned)[skipped:]}/", partial(_describe_too_deep, f"{str(scanned)[skipped:]}/")
                continue
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                    continue
                name = entry.path[skipped:]  # pathlib takes a tenth of the time of listing
                yield name, partial(_describe_entry, entry, name, real_root)


def _scan(folder: Path) -> "list[os.DirEntry[str]] | None":
    """Scan a folder; one that is removed meanwhile is empty, and None is one whose path is too long for the system."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return None


def _describe_too_deep(name: str) -> ListedImage:
    """Describe a file or folder whose path is too long for the system; of a folder nobody knows what is in it."""
    raw = os.fsencode(name)
    shown = raw.decode("utf-8", "backslashreplace")
    detail = "too deep to be opened"
    return ListedImage(shown, 0, None, None, None if shown == name else raw, QuarantineReason.UNREADABLE, detail)


def _describe_entry(entry: "os.DirEntry[str]", name: str, real_root: Path) -> ListedImage | None:
    try:
        return _describe_local(entry, name, real_root)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return _describe_too_deep(name)


def _describe_local(entry: "os.DirEntry[str]", name: str, real_root: Path) -> ListedImage | None:
    """Describe an entry; None when it is gone meanwhile."""
    raw = os.fsencode(name)
    shown = raw.decode("utf-8", "backslashreplace")
    raw_path = None if shown == name else raw
    try:
        link = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    modified_at = datetime.fromtimestamp(link.st_mtime, UTC)
    # Copying tools restore the time of modification, but nobody can set the time of the inode's change.
    arrived_at = datetime.fromtimestamp(max(link.st_mtime, link.st_ctime), UTC)

    def refused(reason: QuarantineReason, detail: str) -> ListedImage:
        return ListedImage(shown, link.st_size, modified_at, arrived_at, raw_path, reason, detail)

    if stat.S_ISLNK(link.st_mode):
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            return refused(QuarantineReason.UNREADABLE, "a link to nothing")
        if not target.is_relative_to(real_root):
            return refused(QuarantineReason.LINK_OUTSIDE_FOLDER, "a link leading out of the folder")
        try:
            link = target.stat()
        except FileNotFoundError:
            return None
    if not stat.S_ISREG(link.st_mode):
        return refused(QuarantineReason.NOT_A_FILE, "expected a regular file")
    return ListedImage(shown, link.st_size, modified_at, arrived_at, raw_path)


def _walk_remote(folder: Folder) -> Iterator[Entry]:
    with explaining(folder.url):
        found: dict[str, dict[str, Any]] = folder.fs.find(folder.root, detail=True)
        if not found and not folder.fs.exists(folder.root):
            raise InputError(f"{folder.url}: expected a folder of images, got nothing there")
    for key, info in found.items():
        name = key[len(folder.root) :].lstrip("/")
        if name and info.get("type") == "file":
            yield name, partial(_describe_remote, info, name)


def _describe_remote(info: dict[str, Any], name: str) -> ListedImage:
    modified_at = info.get("LastModified") or info.get("mtime")
    known = modified_at if isinstance(modified_at, datetime) else None
    # Keys with ".." would leave the folder once somebody downloads them.
    if ".." in name.split("/"):
        return ListedImage(name, 0, known, known, None, QuarantineReason.LINK_OUTSIDE_FOLDER, "a name with '..' in it")
    return ListedImage(name, int(info.get("size") or 0), known, known)
