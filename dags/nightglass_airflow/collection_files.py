"""Which collections there are; one broken file never takes the others down."""

import re
from pathlib import Path

from croniter import croniter

from nightglass.collections import Collection, find_collection_files, read_collection
from nightglass.errors import ConfigurationError


def read_collections(folder: Path) -> tuple[dict[Path, Collection], dict[Path, str]]:
    """Read every collection's file of ``folder``.

    Returns:
        The sound collections, and for every other file the one line that says what is wrong with it.

    Raises:
        ConfigurationError: The folder is missing; Airflow shows it as an import error.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: expected the folder of the collections' files, got nothing there")
    sound: dict[Path, Collection] = {}
    broken: dict[Path, str] = {}
    for path in find_collection_files(folder):
        try:
            collection = read_collection(path)
            _check_schedule(path, collection)
            _check_unique(path, collection, sound)
        except ConfigurationError as error:
            broken[path] = str(error)
        else:
            sound[path] = collection
    return sound, broken


def broken_dag_ids(sound: dict[Path, Collection], broken: dict[Path, str]) -> dict[str, str]:
    """Return a DAG id that no sound collection has for every broken file, with what is wrong in the file."""
    taken = {f"nightly_{collection.name}" for collection in sound.values()}
    named = {}
    for path, message in broken.items():
        dag_id = "nightly_" + re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)[:200]
        while dag_id in taken:
            dag_id += "_"
        taken.add(dag_id)
        named[dag_id] = message
    return named


def _check_schedule(path: Path, collection: Collection) -> None:
    """Airflow's own check comes after parsing, where it would stop every DAG of the file."""
    cron = collection.schedule
    if cron and not (croniter.is_valid(cron) and (cron.startswith("@") or len(cron.split()) == 5)):
        raise ConfigurationError(f"{path}: schedule: expected a cron expression of five fields, got {cron!r}")


def _check_unique(path: Path, collection: Collection, others: dict[Path, Collection]) -> None:
    for other_path, other in others.items():
        if other.name == collection.name:
            raise ConfigurationError(
                f"{path}: name: expected one file a collection, got {other.name!r} in {other_path.name} too"
            )
