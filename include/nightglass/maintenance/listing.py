"""Every file below a folder, with what changes when the file does."""

from datetime import UTC, datetime
from typing import Any

from nightglass.records import Record
from nightglass.storage import Folder, explaining

_CONTENT_STAMPS = ("ETag", "LastModified", "mtime", "ino")


class FoundFile(Record):
    """A file by its path below the folder; ``stamp`` changes with its content."""

    path: str
    size_bytes: int
    stamp: str
    changed_at: datetime


def list_files(folder: Folder, name: str = "") -> list[FoundFile]:
    """Return the files below ``name`` in the order of their paths; an absent folder has none.

    Raises:
        StorageError: The store does not answer.
    """
    with explaining(f"{folder.url}/{name}"):
        folder.fs.invalidate_cache()
        found: dict[str, dict[str, Any]] = folder.fs.find(folder.path(name), detail=True)
    start = len(folder.root) + 1
    files = [_describe(path[start:], info) for path, info in found.items() if info.get("type") == "file"]
    return sorted((file for file in files if file.path), key=lambda file: file.path)


def _describe(path: str, info: dict[str, Any]) -> FoundFile:
    size = int(info.get("size") or 0)
    stamp = " ".join([str(size), *(str(info[name]) for name in _CONTENT_STAMPS if info.get(name) is not None)])
    return FoundFile(path=path, size_bytes=size, stamp=stamp, changed_at=_changed_at(info))


def _changed_at(info: dict[str, Any]) -> datetime:
    moment = info.get("LastModified", info.get("mtime"))
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.fromtimestamp(float(moment or 0), UTC)
