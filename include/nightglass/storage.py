"""One way to read and write folders, local and remote: ``file://`` and ``s3://`` through fsspec.

Files appear whole or not at all: local writes go to a temporary name and are moved, object stores put
whole objects. Every failure becomes one clear error that names the place.
"""

import errno
import io
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from nightglass.errors import InputError
from nightglass.storage_errors import explaining, one_line

__all__ = ["Folder", "Folders", "explaining", "open_folder"]

_CREDENTIALS = re.compile(r"//[^/@\s]+@")
#: Of a store that hangs nothing is waited for longer, in seconds; s3fs itself tries what failed five times. A store
#: that is overloaded (503) is asked again by botocore, later each time.
_PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 20,
    "retries": {"mode": "standard", "max_attempts": 3},
}
#: An upload first waits to be let in, which no other limit is on: for so long and, as it may be a large file on a slow
#: line, for its size.
_UPLOAD_SECONDS = 120
_SLOWEST_BYTES_PER_SECOND = 100_000


@dataclass(frozen=True)
class Folder:
    """A folder by its address: ``fs`` is its fsspec file system, ``root`` its path in it.

    ``url`` is for messages and never holds credentials.
    """

    fs: Any = field(repr=False)
    root: str
    url: str

    @property
    def is_local(self) -> bool:
        """True for a folder on this machine's file system."""
        return isinstance(self.fs, LocalFileSystem)

    def path(self, name: str) -> str:
        """Return the full path of ``name``, which is relative and POSIX."""
        return posixpath.join(self.root, name) if name else self.root

    def child(self, name: str) -> "Folder":
        """Return the folder ``name`` inside this one."""
        return Folder(self.fs, self.path(name), f"{self.url}/{name}")

    def exists(self, name: str = "") -> bool:
        """Tell whether ``name`` (or the folder itself) exists."""
        with explaining(f"{self.url}/{name}"):
            return bool(self.fs.exists(self.path(name)))

    def open_read(self, name: str) -> IO[bytes]:
        """Open ``name`` for reading."""
        with explaining(f"{self.url}/{name}"):
            return self.fs.open(self.path(name), "rb")  # type: ignore[no-any-return]

    def read_bytes(self, name: str) -> bytes:
        """Return the whole content of ``name``."""
        with explaining(f"{self.url}/{name}"):
            return bytes(self.fs.cat_file(self.path(name)))

    def read_start(self, name: str, max_bytes: int) -> bytes:
        """Return ``name``, or of a longer one its first ``max_bytes``; a store is asked once, and for no more."""
        with explaining(f"{self.url}/{name}"):
            path = self.path(name)
            try:
                if hasattr(self.fs, "read_start"):  # S3, which has a shorter way
                    return bytes(self.fs.read_start(path, max_bytes))
                return bytes(self.fs.cat_file(path, start=0, end=max_bytes))
            except OSError as error:
                # S3 refuses to give a range of an empty object.
                if error.errno != errno.EINVAL or self.fs.info(path)["size"]:
                    raise
                return b""

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write ``name`` whole or not at all."""
        with self.writing(name) as local:
            local.write_bytes(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a temporary local file; when the block ends well, it becomes ``name``.

        Raises:
            InputError: The name leads out of the folder.
            AccessDeniedError: The folder is read-only; nothing is left behind.
            StorageError: The disk is full, or the store does not answer; nothing is left behind.
        """
        where = f"{self.url}/{name}"
        self._check_inside(name)
        target = self.path(name)
        with explaining(where):
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            place = (".writing-", posixpath.dirname(target)) if self.is_local else ("nightglass-", None)
            handle, temporary = tempfile.mkstemp(prefix=place[0], dir=place[1])
            os.close(handle)
        local = Path(temporary)
        try:
            with explaining(where):
                yield local
                if self.is_local:
                    with local.open("rb") as written:
                        os.fsync(written.fileno())  # else a power cut may leave the name without the content
                    local.chmod(0o644)
                    local.replace(target)
                else:
                    self.fs.put_file(str(local), target, timeout=_upload_seconds(local))
        finally:
            local.unlink(missing_ok=True)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write an Arrow table as Parquet, whole or not at all."""
        with self.writing(name) as local:
            pq.write_table(table, local, compression="zstd")

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file, or only some ``columns`` of it."""
        with self._open_table(name, whole=columns is None) as file, explaining(f"{self.url}/{name}"):
            try:
                # Not pq.read_table: its reading ahead in threads can abort a process that ends soon after.
                table = pq.ParquetFile(file).read(columns=columns)
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:  # the store's; Parquet's own have no number
                    raise
                raise InputError(f"{self.url}/{name}: expected a Parquet file, got {one_line(error)}") from error
            missing = sorted(set(columns or ()) - set(table.column_names))
            if missing:
                raise InputError(f"{self.url}/{name}: expected the columns {columns}, got none named {missing}")
            return table

    def _open_table(self, name: str, *, whole: bool) -> IO[bytes]:
        # In one request: in between two another writer may have put another object there.
        return io.BytesIO(self.read_bytes(name)) if whole and not self.is_local else self.open_read(name)

    def remove(self, name: str = "") -> None:
        """Remove a file or folder; one that is not there is no error."""
        self._check_inside(name)
        with explaining(f"{self.url}/{name}"), suppress(FileNotFoundError):
            if self.is_local:
                self.fs.rm(self.path(name), recursive=True)
            else:
                # Key by key: the recursive call of a remote file system takes the name for a pattern.
                for key in self.fs.find(self.path(name)):
                    self.fs.rm_file(key)

    def _check_inside(self, name: str) -> None:
        """Raise InputError where a name, which may come from a file, leads out of the folder."""
        if name.startswith("/") or "\0" in name or ".." in name.split("/"):
            raise InputError(f"{self.url}: expected a name inside of the folder, got {name!r}")

    def take(self, source: "Folder", name: str) -> None:
        """Move ``name``, a file or folder of ``source`` in the same store, here.

        An older one gives way: a file is overwritten, so that a reader never finds none; of a folder what is not
        in the new one is removed. One that is not in ``source`` is removed here too.
        """
        with explaining(f"{self.url}/{name}"):
            old, new = self.files(name), source.files(name)
            for file in new:
                self._move(source.path(file), self.path(file))
            for file in sorted(set(old) - set(new)):
                self._remove_file(file)
            if self.is_local and Path(source.path(name)).is_dir():
                shutil.rmtree(source.path(name))

    def files(self, name: str) -> list[str]:
        """Return ``name`` where it is a file, or the files below it where it is a folder."""
        with explaining(f"{self.url}/{name}"), suppress(FileNotFoundError):
            found = self.fs.find(self.path(name))
            return [str(file)[len(self.root.rstrip("/")) + 1 :] for file in found]
        return []

    def _move(self, source: str, target: str) -> None:
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(source).replace(target)
        else:
            self.fs.cp_file(source, target)
            self.fs.rm_file(source)

    def _remove_file(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.path(name))

    def names(self, name: str = "") -> list[str]:
        """Return the names directly inside, sorted; an absent folder has none."""
        with explaining(f"{self.url}/{name}"):
            self.fs.invalidate_cache()
            try:
                found = self.fs.ls(self.path(name), detail=False)
            except FileNotFoundError:
                return []
        return sorted(posixpath.basename(str(entry).rstrip("/")) for entry in found)

    @contextmanager
    def as_local(self, name: str) -> Iterator[Path]:
        """Give the file ``name`` as a local one, downloaded for the block where it is remote."""
        if self.is_local:
            yield Path(self.path(name))
            return
        with tempfile.TemporaryDirectory(prefix="nightglass-") as folder:
            local = Path(folder) / posixpath.basename(name)
            with explaining(f"{self.url}/{name}"):
                self.fs.get_file(self.path(name), str(local))
            yield local


@dataclass(frozen=True)
class Folders:
    """Several folders that are read as one: a name is the folder's number, a slash, and the name in that folder."""

    folders: tuple[Folder, ...]

    @property
    def url(self) -> str:
        """What messages call it."""
        return f"{len(self.folders)} folders"

    @property
    def is_local(self) -> bool:
        """True when all of them are on this machine's file system."""
        return all(folder.is_local for folder in self.folders)

    def path(self, name: str) -> str:
        """Return the full path of ``name`` in its folder's file system."""
        folder, inner = self._find(name)
        return folder.path(inner)

    def read_bytes(self, name: str) -> bytes:
        """Return the whole content of ``name``."""
        folder, inner = self._find(name)
        return folder.read_bytes(inner)

    def read_start(self, name: str, max_bytes: int) -> bytes:
        """Return ``name``, or of a longer one its first ``max_bytes``."""
        folder, inner = self._find(name)
        return folder.read_start(inner, max_bytes)

    def _find(self, name: str) -> tuple[Folder, str]:
        number, _, inner = name.partition("/")
        return self.folders[int(number)], inner


def _upload_seconds(local: Path) -> float:
    return _UPLOAD_SECONDS + local.stat().st_size / _SLOWEST_BYTES_PER_SECOND


def open_folder(url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Folder:
    """Open a local path, ``file://`` (percent-encoded) or ``s3://`` address; nothing is read yet.

    Args:
        url: The address. A path without a scheme is local.
        storage_options: Credentials and endpoint for fsspec; without them the environment is used.

    Raises:
        InputError: The scheme is unknown, or the address holds credentials.
    """
    text = os.fspath(url)
    shown = _CREDENTIALS.sub("//", text).rstrip("/") or "/"
    if _CREDENTIALS.search(text):
        raise InputError(
            f"{shown}: expected an address without credentials; they come from a connection or the environment"
        )
    scheme, separator, rest = text.partition("://")
    if not separator or "/" in scheme:
        return Folder(LocalFileSystem(), Path(text).expanduser().absolute().as_posix(), shown)
    if scheme not in {"file", "s3"} or not rest.strip("/"):
        raise InputError(f"{shown[:200]}: expected a local folder, file:///FOLDER or s3://BUCKET/FOLDER")
    if scheme == "file":
        return Folder(LocalFileSystem(), unquote(urlsplit(text).path).rstrip("/") or "/", shown)
    # A listing that is minutes old would make a folder look complete when it is not.
    options = {"use_listings_cache": False, "config_kwargs": _PATIENCE} | dict(storage_options or {})
    from nightglass.s3_store import S3Store  # takes half a second, which those without S3 need not spend

    return Folder(S3Store(**options), rest.rstrip("/"), shown)
