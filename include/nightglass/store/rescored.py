"""Nights in the results database that another version scored again after they were decided."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import RowMapping, TextClause

from nightglass.backfill.records import RescoredNight, RescoringVersion
from nightglass.records import ModelRef
from nightglass.store.database import Database
from nightglass.store.rows import NightRow, format_time, storable


class RescoredNights:
    """What other versions made of published nights; a night that is published anew loses it."""

    def __init__(self, database: Database, queries: Mapping[str, TextClause]) -> None:
        self._database, self._queries = database, queries

    def published(self, collection: str, since: str, until: str) -> list[NightRow]:
        """Return the published nights of a range, both ends counted in, oldest first."""
        rows = self._fetch("nights_between", collection=collection, since=since, until=until)
        return [NightRow.model_validate(dict(row)) for row in rows]

    def publish(self, rescored: RescoredNight, champion_result: str, now: datetime) -> bool | None:
        """Replace what a version made of a night.

        Args:
            rescored: What it made of it.
            champion_result: ``result_sha256`` of the assessment that it was compared with.
            now: When it is published, with a time zone.

        Returns:
            Whether a row changed; None where the night is not published any more as it was compared.
        """
        content = rescored.model_dump(mode="json")
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        with self._database.writing() as connection:
            if connection.execute(self._queries["night_result_sha256"], content).scalar() != champion_result:
                return None
            if connection.execute(self._queries["rescored_sha256"], content).scalar() == digest:
                return False
            connection.execute(self._queries["delete_rescored"], content)
            row = content | {"result_sha256": digest, "published_at": format_time(now)}
            connection.execute(self._queries["insert_rescored"], storable(row))
        return True

    def of_night(self, collection: str, night: str) -> list[RescoredNight]:
        """Return what other versions made of a night, the newest version first."""
        return _nights(self._fetch("rescored_of_night", collection=collection, night=night))

    def by_version(self, collection: str, model: ModelRef, limit: int, *, before: str | None) -> list[RescoredNight]:
        """Return the newest nights that a version scored again, before a date where one is given, newest first."""
        return _nights(
            self._fetch(
                "rescored_by_version",
                collection=collection,
                model_name=model.name,
                model_version=model.version,
                before=before,
                limit=limit,
            )
        )

    def versions(self, collection: str, model_name: str) -> list[RescoringVersion]:
        """Return which versions of a model scored nights of a collection again, the newest version first."""
        rows = self._fetch("rescoring_versions", collection=collection, model_name=model_name)
        return [RescoringVersion.model_validate(dict(row)) for row in rows]

    def _fetch(self, query: str, **parameters: str | int | None) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(self._queries[query], parameters).mappings())


def _nights(rows: list[RowMapping]) -> list[RescoredNight]:
    return [RescoredNight.model_validate(dict(row)) for row in rows]
