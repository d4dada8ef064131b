"""Where the pages find things: collections, results, and the folder of a night."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from nightglass.collections import Collection, find_collection_files, read_collection
from nightglass.errors import ConfigurationError
from nightglass.settings import Settings
from nightglass.storage import Folder, open_folder
from nightglass.store import Store

#: Returns the credentials of a collection's remote folders.
StorageOptions = Callable[[Collection], Mapping[str, Any] | None]


def read_all(settings: Settings) -> tuple[dict[str, Collection], list[tuple[str, str]]]:
    """Return the collections by their name, and of each file that does not count its name and what is wrong.

    Of two files with one name the first counts, as for Airflow.
    """
    sound: dict[str, Collection] = {}
    files: dict[str, str] = {}
    broken: list[tuple[str, str]] = []
    for file in find_collection_files(settings.collections_dir):
        try:
            collection = _read_file(file, file.stat().st_mtime_ns)
        except (ConfigurationError, OSError) as error:
            broken.append((file.stem, str(error)))
            continue
        if (other := files.setdefault(collection.name, file.name)) != file.name:
            expected = f"{file}: name: expected one file a collection"
            broken.append((collection.name, f"{expected}, got {collection.name!r} in {other} too"))
        else:
            sound[collection.name] = collection
    return sound, broken


@lru_cache(maxsize=512)
def _read_file(file: Path, changed: int) -> Collection:  # noqa: ARG001  part of what a file is known by
    return read_collection(file)


def find_collection(name: str, settings: Settings) -> Collection:
    """Return a collection by its name.

    Raises:
        HTTPException: 404: no sound file has that name.
    """
    sound, _ = read_all(settings)
    if name not in sound:
        raise HTTPException(404, f"expected a collection with a sound file, got {name[:100]!r}")
    return sound[name]


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Give the results; a database of an older Nightglass is brought up to date by the first who asks."""
    yield _connect(settings.database_url, settings.sql_dir)


@lru_cache(maxsize=4)
def _connect(database_url: str, sql_dir: Path) -> Store:
    store = Store.connect(database_url, sql_dir, keeps_connections=True)
    store.migrate()
    return store


def open_night(request: Request, collection: Collection, night: str, settings: Settings) -> Folder:
    """Open the score folder of a night with the collection's credentials."""
    url = f"{settings.nights_url}/{collection.name}/{night}"
    options: StorageOptions = request.app.state.storage_options
    return open_folder(url, options(collection) if url.startswith("s3://") else None)
