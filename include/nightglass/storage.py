"""One way to read and write folders, local and remote: ``file://`` and ``s3://`` through fsspec.

Files appear whole or not at all: local writes go to a temporary name and are moved, object stores put
whole objects. Every failure becomes one clear error that names the place.
"""

import errno
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from nightglass.errors import AccessDeniedError, InputError, NightglassError, StorageError

_DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden", "403", "InvalidToken")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


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
            AccessDeniedError: The folder is read-only or the disk is full; nothing is left behind.
        """
        where = f"{self.url}/{name}"
        target = self.path(name)
        with explaining(where):
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            parent = posixpath.dirname(target) if self.is_local else None
            handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=parent)
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
                    self.fs.put_file(str(local), target)
        finally:
            local.unlink(missing_ok=True)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write an Arrow table as Parquet, whole or not at all."""
        with self.writing(name) as local:
            pq.write_table(table, local, compression="zstd")

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file, or only some ``columns`` of it."""
        with self.open_read(name) as file, explaining(f"{self.url}/{name}"):
            try:
                # Not pq.read_table: its reading ahead in threads can abort a process that ends soon after.
                table = pq.ParquetFile(file).read(columns=columns)
            except pa.ArrowException as error:
                raise InputError(f"{self.url}/{name}: expected a Parquet file, got {_one_line(error)}") from error
            missing = sorted(set(columns or ()) - set(table.column_names))
            if missing:
                raise InputError(f"{self.url}/{name}: expected the columns {columns}, got none named {missing}")
            return table

    def remove(self, name: str = "") -> None:
        """Remove a file or folder; one that is not there is no error."""
        with explaining(f"{self.url}/{name}"), suppress(FileNotFoundError):
            if self.is_local:
                self.fs.rm(self.path(name), recursive=True)
            else:
                # Key by key: the recursive call of a remote file system takes the name for a pattern.
                for key in self.fs.find(self.path(name)):
                    self.fs.rm_file(key)

    def take(self, source: "Folder", name: str) -> None:
        """Move ``name``, a file or folder of ``source`` in the same store, here; an older one gives way."""
        with explaining(f"{self.url}/{name}"):
            self.remove(name)
            if self.is_local:
                if Path(source.path(name)).exists():
                    Path(source.path(name)).rename(self.path(name))
                return
            for key in self.fs.find(source.path(name)):
                self.fs.cp_file(key, self.path(name) + key[len(source.path(name)) :])
                self.fs.rm_file(key)

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
    options = {"use_listings_cache": False, "config_kwargs": {"retries": {"max_attempts": 3}}} | dict(
        storage_options or {}
    )
    return Folder(fsspec.filesystem("s3", **options), rest.rstrip("/"), shown)


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Turn a file system's or store's failure inside the block into one clear error about ``where``."""
    try:
        yield
    except NightglassError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{where}: expected to exist, got nothing there") from error
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise AccessDeniedError(f"{where}: access denied ({_one_line(error)})") from error
    except OSError as error:
        if error.errno in {28, 30, 122}:  # ENOSPC, EROFS, EDQUOT
            raise AccessDeniedError(f"{where}: cannot write ({_one_line(error)})") from error
        raise StorageError(f"{where}: {_one_line(error)}") from error
    except Exception as error:  # botocore and aiohttp errors share no base
        if not type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec")):
            raise
        text = _one_line(error)
        denied = any(word in text for word in _DENIED) or type(error).__name__ == "NoCredentialsError"
        kind = AccessDeniedError if denied else StorageError
        raise kind(f"{where}: {text}") from error


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return _CREDENTIALS.sub("//", text)[:300]
