"""Shadows in the results database: which challenger shadows the champion, and what it saw of each night."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, TextClause

from nightglass.night.shadow_records import Ending, NewShadow, SeenNight, Shadow
from nightglass.store.database import Database
from nightglass.store.rows import format_time, storable

_SUPERSEDED = "the challenger of another retraining shadows the champion now"


class Shadows:
    """The shadows of all collections; a collection has one at a time, and one that ended changes no more."""

    def __init__(self, database: Database, queries: Mapping[str, TextClause]) -> None:
        self._database = database
        self._queries = queries

    def begin(self, shadow: NewShadow, now: datetime) -> Shadow:
        """Record that a challenger shadows, once.

        A run that was begun anew, with other models, or that was concluded without its shadow, shadows anew. Another
        retraining's shadow that goes on is ended: that run was given up, or it would not have come to this one.
        """
        key = {"collection": shadow.collection, "run": shadow.run}
        with self._database.writing() as connection:
            known = self._find(connection, "find_shadow", key)
            if known is not None and known.ending != "given_up" and _is_same(known, shadow):
                return known
            connection.execute(self._queries["delete_shadow"], key)
            active = self._find(connection, "active_shadow", key)
            if active is not None:
                self._end(connection, active, "superseded", _SUPERSEDED, now)
            last = connection.execute(self._queries["last_night"], key).scalar_one()
            row = shadow.model_dump() | {"after_night": last, "began_at": format_time(now)}
            connection.execute(self._queries["insert_shadow"], storable(row))
            return Shadow.model_validate(row | {"ended_at": None, "ending": None, "sentence": None})

    def end(self, shadow: NewShadow, ending: Ending, sentence: str, now: datetime) -> Shadow:
        """End a shadow and return it as it ended; one that ended before keeps its ending.

        Raises:
            ValueError: There is no such shadow.
        """
        with self._database.writing() as connection:
            self._end(connection, shadow, ending, sentence, now)
            key = {"collection": shadow.collection, "run": shadow.run}
            ended = self._find(connection, "find_shadow", key)
        if ended is None:
            raise ValueError(f"{shadow.collection}: expected a shadow of {shadow.run}, got none")
        return ended

    def find_active(self, collection: str) -> Shadow | None:
        """Return the shadow of a collection that goes on."""
        with self._database.reading() as connection:
            return self._find(connection, "active_shadow", {"collection": collection})

    def list_nights(self, collection: str, run: str) -> list[SeenNight]:
        """Return the nights that a shadow saw, oldest first."""
        with self._database.reading() as connection:
            key = {"collection": collection, "run": run}
            rows = connection.execute(self._queries["list_shadow_nights"], key).mappings()
            return [SeenNight.model_validate(dict(row)) for row in rows]

    def publish_night(self, seen: SeenNight, now: datetime) -> bool:
        """Replace what an active shadow saw of a night.

        Returns:
            Whether a row changed: not where just this is known already, nor where the shadow has ended.
        """
        content = seen.model_dump(mode="json")
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        with self._database.writing() as connection:
            active = self._find(connection, "active_shadow", {"collection": seen.collection})
            if active is None or active.run != seen.run:
                return False
            if connection.execute(self._queries["shadow_night_sha256"], content).scalar() == digest:
                return False
            connection.execute(self._queries["delete_shadow_night"], content)
            row = content | {"result_sha256": digest, "published_at": format_time(now)}
            connection.execute(self._queries["insert_shadow_night"], storable(row))
        return True

    def forget_night(self, collection: str, night: str, *, kept_version: str | None) -> None:
        """Forget what the active shadow saw of a night, unless its images are still those of ``kept_version``."""
        with self._database.writing() as connection:
            key = {"collection": collection, "night": night, "kept_version": kept_version}
            connection.execute(self._queries["forget_shadow_night"], key)

    def _find(self, connection: Connection, query: str, key: Mapping[str, str]) -> Shadow | None:
        row = connection.execute(self._queries[query], dict(key)).mappings().first()
        return Shadow.model_validate(dict(row)) if row else None

    def _end(self, connection: Connection, shadow: NewShadow, ending: Ending, sentence: str, now: datetime) -> None:
        row = {
            "collection": shadow.collection,
            "run": shadow.run,
            "ending": ending,
            "sentence": sentence,
            "ended_at": format_time(now),
        }
        connection.execute(self._queries["end_shadow"], storable(row))


def _is_same(known: Shadow, asked: NewShadow) -> bool:
    """Tell whether both are about the same two detectors."""
    about = ("model_name", "champion_version", "challenger_version", "challenger_fingerprint")
    return all(getattr(known, name) == getattr(asked, name) for name in about)
