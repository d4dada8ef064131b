"""Who rewrites a collection's nights, what was removed of them, and by how many images they are fewer."""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping

from nightglass.errors import StorageError
from nightglass.records import Record
from nightglass.store.database import Database
from nightglass.store.deletions import Deletions
from nightglass.store.rows import format_time
from nightglass.store.verdicts import Queries

#: A process that died lets go of a collection after so long.
LEASE_TIME = timedelta(minutes=30)
#: A run that died with its machine is waited for no longer.
WORK_TIME = timedelta(days=1)


class CollectionInWorkError(StorageError):
    """Somebody else rewrites the collection's nights; it takes minutes."""


class Removal(Record):
    """What retention removed of a night: ``kind`` is pictures, embeddings or scores."""

    kind: str
    after_days: int
    removed_at: str


class Upkeep:
    """What maintenance knows of the nights in the results database."""

    def __init__(self, database: Database, queries: Queries) -> None:
        self._database, self._queries = database, queries

    @property
    def deletions(self) -> Deletions:
        """What was asked to be deleted."""
        return Deletions(self._database, self._queries)

    def compact(self) -> None:
        """Give up the room of rows that are gone; see :meth:`Database.compact`."""
        self._database.compact()

    def take_lease(self, collection: str, holder: str, now: datetime) -> None:
        """Keep others from beginning or rewriting a collection's nights; the same holder may take it again.

        Raises:
            CollectionInWorkError: Another one holds it.
        """
        row = {
            "collection": collection, "holder": holder, "now": format_time(now),
            "expires_at": format_time(now + LEASE_TIME),
        }  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(self._queries["delete_expired_lease"], row)
            found = connection.execute(self._queries["find_lease"], row).mappings().first()
            if found is not None and found["holder"] != holder:
                until = found["expires_at"][:16].replace("T", " ")
                raise CollectionInWorkError(
                    f"{collection}: expected to be the only one that rewrites its nights, got {found['holder']} until "
                    f"{until} at the latest"
                )
            connection.execute(self._queries["extend_lease" if found else "insert_lease"], row)

    def drop_lease(self, collection: str, holder: str) -> None:
        """Let go of a collection; nothing happens where another one holds it."""
        with self._database.writing() as connection:
            connection.execute(self._queries["delete_lease"], {"collection": collection, "holder": holder})

    def find_holder(self, collection: str, now: datetime) -> str | None:
        """Return who rewrites a collection's nights at the moment; None where nobody does."""
        for row in self._fetch("find_lease", collection=collection):
            if row["expires_at"] > format_time(now):
                return str(row["holder"])
        return None

    def check_free(self, collection: str, now: datetime) -> None:
        """Raise CollectionInWorkError when somebody rewrites a collection's nights just now."""
        holder = self.find_holder(collection, now)
        if holder is not None:
            raise CollectionInWorkError(f"{collection}: expected that nobody rewrites its nights, got {holder}")

    def begin_night(self, collection: str, night: str, now: datetime) -> None:
        """Say that a run works on a night from here on; until it ends nobody else rewrites it.

        Raises:
            CollectionInWorkError: Somebody rewrites the collection's nights just now.
        """
        row = {"collection": collection, "night": night, "since": format_time(now)}
        with self._database.writing() as connection:
            found = connection.execute(self._queries["find_lease"], row).mappings().first()
            if found is not None and found["expires_at"] > row["since"]:
                got = f"got {found['holder']}"
                raise CollectionInWorkError(f"{collection} {night}: expected that nobody rewrites its nights, {got}")
            connection.execute(self._queries["end_night"], row)
            connection.execute(self._queries["begin_night"], row)

    def end_night(self, collection: str, night: str) -> None:
        """Say that the run that worked on a night is done."""
        with self._database.writing() as connection:
            connection.execute(self._queries["end_night"], {"collection": collection, "night": night})

    def is_in_work(self, collection: str, night: str, now: datetime) -> bool:
        """Tell whether a run works on a night; one that began a day ago was given up."""
        after = format_time(now - WORK_TIME)
        return bool(self._fetch("night_in_work", collection=collection, night=night, after=after))

    def note_removal(self, collection: str, night: str, kind: str, after_days: int, now: datetime) -> None:
        """Record that something of a published night is removed; a second time changes nothing."""
        row = {"collection": collection, "night": night, "kind": kind, "after_days": after_days}
        with self._database.writing() as connection:
            connection.execute(self._queries["insert_removal"], row | {"removed_at": format_time(now)})

    def drop_removal(self, collection: str, night: str, kind: str) -> None:
        """Record that what was removed is there again."""
        with self._database.writing() as connection:
            connection.execute(
                self._queries["delete_removal"], {"collection": collection, "night": night, "kind": kind}
            )

    def removals_of_night(self, collection: str, night: str) -> dict[str, Removal]:
        """Return what was removed of a night, by kind."""
        rows = self._fetch("removals_of_night", collection=collection, night=night)
        return {row["kind"]: Removal.model_validate(dict(row)) for row in rows}

    def removals(self, collection: str) -> dict[str, set[str]]:
        """Return of each night of a collection what was removed, by night."""
        found: dict[str, set[str]] = {}
        for row in self._fetch("removals", collection=collection):
            found.setdefault(row["night"], set()).add(row["kind"])
        return found

    def deleted_of_night(self, collection: str, night: str) -> int:
        """Return by how many images a night has fewer than it was decided on."""
        (row,) = self._fetch("deletions_of_night", collection=collection, night=night)
        return int(row["images"])

    def scored_deletions(self, collection: str) -> dict[str, int]:
        """Return by how many scored images the nights have fewer; nights that have all of them are not there."""
        return {row["night"]: int(row["scored"]) for row in self._fetch("scored_deletions", collection=collection)}

    def _fetch(self, query: str, **parameters: str | int | None) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(self._queries[query], parameters).mappings())
