"""A folder of backups: each content is there once, however many backups have it, and a manifest names a backup's.

The manifest ``<name>/manifest.json`` is written last, a backup without one does not count; the contents are
``files/<2 digits>/<sha256>``.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from nightglass.errors import InputError, StorageError
from nightglass.maintenance.backup_records import FORMAT_VERSION, Backup
from nightglass.maintenance.listing import list_files
from nightglass.storage import Folder, explaining

MANIFEST_NAME = "manifest.json"
_FILES = "files"
_NAME_FORMAT = "%Y%m%dT%H%M%SZ"
_log = logging.getLogger(__name__)
_PIECE_BYTES = 1 << 20
#: A content that no manifest names may be one of a backup that is just being written.
_UNNAMED_KEPT = timedelta(days=2)


class BackupFolder:
    """One folder of backups, local or in S3."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Return the complete backups, oldest first."""
        return [name for name in self.folder.names() if name_time(name) and self._has_manifest(name)]

    def read(self, name: str | None) -> Backup:
        """Return the manifest of a backup, or of the newest.

        Raises:
            InputError: There is none, or it is damaged or of another version.
        """
        known = self.names()
        chosen = name or (known[-1] if known else None)
        if chosen not in known:
            got = f"{len(known)} others, the newest {known[-1]}" if known else "none"
            raise InputError(f"{self.folder.url}: expected a backup{f' named {name!r}' if name else ''}, got {got}")
        where = f"{self.folder.url}/{chosen}/{MANIFEST_NAME}"
        try:
            found = Backup.model_validate_json(self.folder.read_bytes(f"{chosen}/{MANIFEST_NAME}"))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{where}: expected the manifest of a backup, got {place}: {first['msg']}") from error
        if found.format_version != FORMAT_VERSION:
            raise InputError(f"{where}: expected format version {FORMAT_VERSION}, got {found.format_version}")
        return found

    def contents(self) -> dict[str, int]:
        """Return the sizes of the contents that are there, by their sha256."""
        return {file.path.rpartition("/")[2]: file.size_bytes for file in list_files(self.folder, _FILES)}

    def add(self, local: Path, sha256: str) -> None:
        """Keep the content of a local file."""
        with self.folder.writing(_path(sha256)) as target:
            shutil.copyfile(local, target)

    def finish(self, backup: Backup) -> None:
        """Write the manifest, after a look whether every content is there.

        Raises:
            StorageError: One is missing: somebody removes backups at the same time.
        """
        there = self.contents()
        missing = [sha for sha, size in backup.contents.items() if there.get(sha) != size]
        if missing:
            got = f"{len(missing)} missing, such as {missing[0][:12]}"
            raise StorageError(f"{self.folder.url}: expected every content of {backup.name}, got {got}: try again")
        self.folder.write_bytes(f"{backup.name}/{MANIFEST_NAME}", backup.model_dump_json(indent=1).encode())

    @contextmanager
    def content(self, sha256: str) -> Iterator[Path]:
        """Give a local copy of a content, checked.

        Raises:
            InputError: It is missing, or is not what it was.
        """
        with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
            local = Path(work) / sha256
            found, _ = copy_and_hash(self.folder, _path(sha256), local)
            if found != sha256:
                where = f"{self.folder.url}/{_path(sha256)}"
                raise InputError(f"{where}: expected the content with this sha256, got {found[:12]}: it is damaged")
            yield local

    def remove_old(self, keep_days: int, now: datetime) -> list[str]:
        """Remove backups that are older than so many days, but for the newest, and what only they had.

        Raises:
            InputError: The manifest of one that stays is damaged: no content is removed, which it may have.
        """
        known = self.names()
        limit = now - timedelta(days=keep_days)
        old = [name for name in known[:-1] if (name_time(name) or now) < limit]
        for name in old:
            self.folder.remove(f"{name}/{MANIFEST_NAME}")
            self.folder.remove(name)
            _log.info("the backup %s/%s was removed, it is older than %s days", self.folder.url, name, keep_days)
        # Looked at anew: another one may have ended meanwhile, of contents that only the old ones had.
        named = {sha for name in self.names() for sha in self.read(name).contents}
        for file in list_files(self.folder, _FILES):
            if file.path.rpartition("/")[2] not in named and file.changed_at < now - _UNNAMED_KEPT:
                self.folder.remove(file.path)
        return old

    def _has_manifest(self, name: str) -> bool:
        return self.folder.exists(f"{name}/{MANIFEST_NAME}")


def new_name(now: datetime) -> str:
    """Return the name of a backup that is begun now."""
    return now.astimezone(UTC).strftime(_NAME_FORMAT)


def name_time(name: str) -> datetime | None:
    """Return when a backup of this name was begun; None where it is no such name."""
    try:
        return datetime.strptime(name, _NAME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def copy_and_hash(folder: Folder, name: str, target: Path) -> tuple[str, int]:
    """Copy a file to a local one in pieces; return its sha256 and its size, bytes."""
    digest, size = hashlib.sha256(), 0
    with folder.open_read(name) as source, target.open("wb") as copy, explaining(f"{folder.url}/{name}"):
        while piece := source.read(_PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
            copy.write(piece)
    return digest.hexdigest(), size


def hash_file(path: Path) -> tuple[str, int]:
    """Return the sha256 of a local file and its size, bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _path(sha256: str) -> str:
    return f"{_FILES}/{sha256[:2]}/{sha256}"
