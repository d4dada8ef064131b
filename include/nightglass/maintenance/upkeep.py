"""The nightly upkeep of one collection, and of what all of them share."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from nightglass.collections import Collection
from nightglass.errors import InputError, NightglassError
from nightglass.maintenance.backed_up import BackedUp
from nightglass.maintenance.deletion_records import Deletion
from nightglass.maintenance.forget import finish_requests
from nightglass.maintenance.hold import holding
from nightglass.maintenance.leftovers import abort_uploads, remove_temporary, remove_unfinished
from nightglass.maintenance.standing import IsIdle, Nights
from nightglass.maintenance.thinning import Thinned, thin_nights
from nightglass.records import Record
from nightglass.settings import Settings
from nightglass.storage import open_folder
from nightglass.store import Store

Options = Mapping[str, Any] | None


class Tidied(Thinned):
    """What the upkeep of a collection did, or would do; ``kept`` is old but needed, and says by what.

    ``deletions`` counts the requests that were brought to their end, ``waiting`` says what others wait for.
    """

    collection: str
    dry_run: bool
    deletions: int
    waiting: list[str]
    unfinished_files: int
    aborted_uploads: int


class Compacted(Record):
    """What the upkeep of the databases and of this machine did."""

    databases: list[str]
    temporary: int


def tidy_collection(
    collection: Collection,
    settings: Settings,
    *,
    storage_options: Options = None,
    is_idle: IsIdle,
    dry_run: bool = False,
) -> Tidied:
    """Go on with deletions, and remove what is too old or was left behind.

    Args:
        collection: Which one.
        settings: Where everything is.
        storage_options: Credentials of remote folders.
        is_idle: Tells whether no run of the collection goes on; else leftovers and nights in work are left alone.
        dry_run: Only say what would be done.

    Raises:
        CollectionInWorkError: Somebody else rewrites the collection's nights.
        DeletionsFailedError: Some deletions need a person; everything else was done.
        InputError: Retention cannot remove something of a damaged night; everything else was done.
        StorageError: A store, the database or MLflow does not answer; what does not need it was done.
    """
    remove_old = partial(_remove_old, collection, settings, storage_options, is_idle, dry_run=dry_run)
    if dry_run:
        return remove_old([])
    try:
        deletions = finish_requests(collection, settings, storage_options=storage_options, is_idle=is_idle)
    except NightglassError:
        remove_old([])
        raise
    tidied = remove_old(deletions)
    if tidied.failures:
        got = f"{len(tidied.failures)} where that fails, the first is the {tidied.failures[0]}"
        raise InputError(f"{collection.name}: expected to remove what is too old, got {got}")
    return tidied


def _remove_old(
    collection: Collection,
    settings: Settings,
    storage_options: Options,
    is_idle: IsIdle,
    deletions: Sequence[Deletion],
    *,
    dry_run: bool,
) -> Tidied:
    """Remove what is too old or was left behind."""
    folder, retrainings = (
        open_folder(f"{url}/{collection.name}", storage_options)
        for url in (settings.nights_url, settings.retraining_url)
    )
    now = datetime.now(UTC)
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        with holding(store, collection.name, "maintenance") as hold:
            nights = Nights(collection, settings, folder, store, is_idle())
            thinned = thin_nights(nights, retrainings, hold, dry_run=dry_run)
            unfinished = remove_unfinished(nights, hold, now, dry_run=dry_run) if nights.is_idle else 0
            uploads = abort_uploads(folder, now, dry_run=dry_run)
    return Tidied(
        collection=collection.name,
        dry_run=dry_run,
        deletions=sum(deletion.finished_at is not None for deletion in deletions),
        waiting=[why for deletion in deletions for why in deletion.waiting],
        **dict(thinned),
        unfinished_files=unfinished,
        aborted_uploads=uploads,
    )


def compact(settings: Settings, *, dry_run: bool = False) -> Compacted:
    """Let the databases give up the room of rows that are gone, and remove this machine's old temporary files.

    Raises:
        StorageError: A database does not answer.
    """
    temporary = remove_temporary(settings, datetime.now(UTC), dry_run=dry_run)
    compacted: list[str] = []
    if dry_run:
        return Compacted(databases=compacted, temporary=temporary)
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        store.upkeep.compact()
    compacted.append("results")
    if settings.tracking_url.startswith("sqlite:") or settings.tracking_database_url:
        sources = BackedUp.open(settings)
        with sources.mlflow_alone():
            sources.tracking.compact()
        compacted.append("mlflow")
    return Compacted(databases=compacted, temporary=temporary)
