"""What was asked to be deleted, in the results database, and taking an image out of the other tables."""

from datetime import datetime

from sqlalchemy import RowMapping

from nightglass.maintenance.deletion_records import HIDDEN, Deletion, DeletionRequest, name_digest
from nightglass.store.database import Database
from nightglass.store.rows import format_time, storable
from nightglass.store.verdicts import Queries


class Deletions:
    """The log of deletions, and what no listing takes up again."""

    def __init__(self, database: Database, queries: Queries) -> None:
        self._database, self._queries = database, queries

    def find(self, request: DeletionRequest) -> Deletion | None:
        """Return what became of a request; None where it was not recorded yet."""
        with self._database.reading() as connection:
            found = connection.execute(self._queries["find_deletion"], {"request": request.key}).mappings().first()
        return _as_deletion(found, request) if found is not None else None

    def begin(self, request: DeletionRequest) -> None:
        """Record a request, once; from here on nothing that is listed has the image."""
        row = request.model_dump(exclude={"digest", "night"}) | {"request": request.key, "digest": request.digest}
        row["is_original_deleted"] = int(request.is_original_deleted)
        with self._database.writing() as connection:
            if connection.execute(self._queries["find_deletion"], row).mappings().first() is None:
                connection.execute(self._queries["insert_deletion"], storable(row))
            connection.execute(self._queries["insert_deleted_content"], storable(row))

    def finish(self, deletion: Deletion, now: datetime) -> Deletion:
        """Record what went; what finished the request first stays."""
        removed = "\n".join(f"{kind}: {count}" for kind, count in sorted(deletion.removed.items()))
        row = {
            "request": deletion.request.key,
            "finished_at": format_time(now),
            "nights": "\n".join(deletion.nights),
            "models": "\n".join(deletion.models),
            "removed": removed,
        }
        with self._database.writing() as connection:
            connection.execute(self._queries["finish_deletion"], storable(row))
            found = connection.execute(self._queries["find_deletion"], row).mappings().one()
        return _as_deletion(found, deletion.request).model_copy(update={"is_new": True})

    def finished(self, collection: str) -> frozenset[str]:
        """Return the keys of a collection's requests that are done."""
        return frozenset(str(row["request"]) for row in self.list_rows(collection) if row["finished_at"])

    def contents(self, collection: str) -> frozenset[str]:
        """Return the digests of what no listing of a collection takes up again."""
        with self._database.reading() as connection:
            found = connection.execute(self._queries["deleted_contents"], {"collection": collection})
            return frozenset(found.scalars())

    def note_night(self, request: DeletionRequest, night: str, images: int, scored: int) -> bool:
        """Record by how many images a published night has fewer, once a request; return whether that was new."""
        row = {
            "collection": request.collection, "night": night, "request": request.key, "images": images, "scored": scored
        }  # fmt: skip
        with self._database.writing() as connection:
            return bool(connection.execute(self._queries["insert_night_deletion"], row).rowcount)

    def redact_night(
        self, request: DeletionRequest, night: str, good_names: frozenset[str], results: tuple[str, str]
    ) -> int:
        """Take an image out of a night's rows.

        Args:
            request: Which image.
            night: The night.
            good_names: The `name_digest` of what detectors call it.
            results: What the night's assessment was, and is now.

        Returns:
            How many top anomalies went.
        """
        key = {"collection": request.collection, "night": night}
        with self._database.writing() as connection:
            row = key | {"sha256": request.digest}
            removed = connection.execute(self._queries["delete_anomalies"], row).rowcount
            for path in connection.execute(self._queries["nearest_of_night"], key).scalars().all():
                if name_digest(path) in good_names:
                    connection.execute(self._queries["forget_nearest"], key | {"path": path})
            connection.execute(self._queries["redact_result"], key | {"old": results[0], "new": results[1]})
        return int(removed)

    def redact_verdicts(self, request: DeletionRequest) -> int:
        """Take the image's names and what was written of it out of the verdicts; return of how many."""
        row = {"collection": request.collection, "sha256": request.digest, "hidden": HIDDEN}
        with self._database.writing() as connection:
            return int(connection.execute(self._queries["redact_verdicts"], row).rowcount)

    def list_rows(self, collection: str | None = None) -> list[dict[str, object]]:
        """Return the log, newest first, of one collection or of all."""
        with self._database.reading() as connection:
            found = connection.execute(self._queries["list_deletions"], {"collection": collection}).mappings()
            return [dict(row) for row in found]


def _as_deletion(row: RowMapping, request: DeletionRequest) -> Deletion:
    counts = (line.rpartition(": ") for line in row["removed"].splitlines())
    return Deletion(
        request=request,
        finished_at=row["finished_at"],
        nights=row["nights"].splitlines(),
        models=row["models"].splitlines(),
        removed={kind: int(count) for kind, _, count in counts},
        is_new=False,
    )
