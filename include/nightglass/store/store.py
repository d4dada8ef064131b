"""What Nightglass remembers of its nights and promotions, in SQLite or PostgreSQL."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from sqlalchemy import RowMapping

from nightglass.records import Assessment, ModelRef, NightSummary, ShownImage
from nightglass.retraining.records import Outcome, Retraining
from nightglass.retraining.verdicts import NewVerdict, Verdict
from nightglass.store.alert_log import AlertLog
from nightglass.store.costs import Costs
from nightglass.store.database import Database
from nightglass.store.listings import Listings
from nightglass.store.migrations import apply_migrations
from nightglass.store.nights import Nights, summaries_of
from nightglass.store.promotions import ChampionChange, VersionNights, promotion_row
from nightglass.store.queries import load_queries
from nightglass.store.rescored import RescoredNights
from nightglass.store.retrainings import gate_rows, retraining_row, retrainings_of
from nightglass.store.rows import NightRow, PromotionEvent, child_rows, night_row
from nightglass.store.shadows import Shadows
from nightglass.store.upkeep import Upkeep
from nightglass.store.verdict_log import VerdictLog
from nightglass.store.verdicts import append_verdicts, read_verdicts


class Store:
    """The results database; use it as a context manager, or call :meth:`close`.

    Every method may raise :class:`StorageError` when the database does not answer, and
    :class:`ConfigurationError` when :meth:`migrate` has not run yet.
    """

    def __init__(self, database: Database, sql_dir: Path) -> None:
        self._database = database
        self._sql_dir = sql_dir
        self._queries = load_queries(sql_dir)

    @classmethod
    def connect(cls, database_url: str, sql_dir: Path, *, keeps_connections: bool = False) -> Self:
        """Connect, creating an SQLite file and its folder where there is none.

        Args:
            database_url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
            sql_dir: The folder with ``migrations/`` and ``queries/``.
            keeps_connections: See :class:`Database`.

        Raises:
            StorageError: The database does not answer.
            AccessDeniedError: It said no: wrong password, read-only, disk full.
            ConfigurationError: The address is of another kind.
        """
        store = cls(Database(database_url, keeps_connections=keeps_connections), sql_dir)
        store._database.check()
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.engine.dispose()

    def migrate(self) -> list[int]:
        """Bring the tables and views to this code's version; see :func:`apply_migrations`."""
        return apply_migrations(self._database, self._queries, self._sql_dir)

    @property
    def nights(self) -> Nights:
        """Single nights, as the analyst's pages show them."""
        return Nights(self._database, self._queries)

    @property
    def verdict_log(self) -> VerdictLog:
        """What people said of images: little of it at a time, and what takes it back."""
        return VerdictLog(self._database, self._queries)

    @property
    def shadows(self) -> Shadows:
        """The challengers that score nights beside the champion."""
        return Shadows(self._database, self._queries)

    @property
    def alert_log(self) -> AlertLog:
        """What people were told."""
        return AlertLog(self._database, self._queries)

    @property
    def rescored(self) -> RescoredNights:
        """What other versions made of nights that were decided before."""
        return RescoredNights(self._database, self._queries)

    @property
    def costs(self) -> Costs:
        """What nights cost."""
        return Costs(self._database, self._queries)

    @property
    def upkeep(self) -> Upkeep:
        """What maintenance knows of the nights."""
        return Upkeep(self._database, self._queries)

    @property
    def listings(self) -> Listings:
        """What programs read a page at a time."""
        return Listings(self._database, self._queries)

    def publish_night(self, assessment: Assessment, report_url: str, now: datetime) -> bool:
        """Replace everything known of a night, in one transaction.

        Args:
            assessment: The night.
            report_url: Where its report lies.
            now: When it is published, with a time zone.

        Returns:
            False when exactly this assessment was published before: then no row changes.
        """
        night = night_row(assessment, report_url, now)
        with self._database.writing() as connection:
            known = connection.execute(self._queries["night_result_sha256"], night).scalar()
            if known == night["result_sha256"]:
                return False
            connection.execute(self._queries["delete_night"], night)
            connection.execute(self._queries["insert_night"], night)
            for query, rows in child_rows(assessment).items():
                if rows:
                    connection.execute(self._queries[query], rows)
        return True

    def quiet_nights(self, collection: str, model: ModelRef, before: str, limit: int) -> list[NightSummary]:
        """Return the nights before ``before`` that this version judged ok or watch, newest first."""
        return summaries_of(
            self._fetch(
                "quiet_nights",
                collection=collection,
                model_name=model.name,
                model_version=model.version,
                before=before,
                limit=limit,
            )
        )

    def first_nights(self, collection: str, model: ModelRef, limit: int, before: str) -> list[NightSummary]:
        """Return the first quiet nights of this version, oldest first: the frozen figures."""
        return summaries_of(
            self._fetch(
                "first_nights",
                collection=collection,
                model_name=model.name,
                model_version=model.version,
                before=before,
                limit=limit,
            )
        )

    def recent_nights(self, collection: str, until: str, limit: int) -> list[NightSummary]:
        """Return the last nights up to and including ``until``, any decision, oldest first."""
        return summaries_of(self._fetch("recent_nights", collection=collection, until=until, limit=limit))

    def recent_top_anomalies(self, collection: str, before: str, limit: int) -> list[ShownImage]:
        """Return the top anomalies of the last ``limit`` nights before ``before``, the last night first."""
        rows = self._fetch("recent_top_anomalies", collection=collection, before=before, limit=limit)
        return [ShownImage.model_validate(dict(row)) for row in rows]

    def usual_count(self, collection: str, before: str, limit: int) -> float | None:
        """Return the median number of images of the last ``limit`` nights that were not on hold."""
        rows = self._fetch("usual_counts", collection=collection, before=before, limit=limit)
        return float(median(row["images"] for row in rows)) if rows else None

    def list_nights(self, collection: str | None = None, limit: int = 30) -> list[NightRow]:
        """Return the last nights, newest first, of one collection or of all."""
        rows = self._fetch("list_nights", collection=collection, limit=limit)
        return [NightRow.model_validate(dict(row)) for row in rows]

    def change_champion(
        self, model_name: str, decide: Callable[[list[PromotionEvent]], ChampionChange | None], now: datetime
    ) -> list[PromotionEvent]:
        """Append to the promotion log, which no query changes or deletes, what ``decide`` makes of the log.

        Nobody else writes while ``decide`` looks at the model's history, newest first, so that every entry
        names the version that it really replaced.

        Returns:
            The history afterwards, newest first; the same as before when ``decide`` gave None.

        Raises:
            InputError: Nobody is named, or no reason is given.
        """
        read, of_model = self._queries["promotions_of_model"], {"model_name": model_name}
        with self._database.writing() as connection:
            history = _events(connection.execute(read, of_model).mappings())
            change = decide(history)
            if change is None:
                return history
            row = promotion_row(model_name, change, history[0] if history else None, now)
            connection.execute(self._queries["append_promotion"], row)
            return _events(connection.execute(read, of_model).mappings())

    def promotions_of_model(self, model_name: str) -> list[PromotionEvent]:
        """Return the promotion log of a registered model, newest first."""
        return _events(self._fetch("promotions_of_model", model_name=model_name))

    def model_history(self, collection: str) -> list[PromotionEvent]:
        """Return who made which version production, when and until when, newest first."""
        return _events(self._fetch("model_history", collection=collection))

    def nights_of_versions(self, collection: str, model_name: str) -> dict[str, VersionNights]:
        """Return what every version of a model has judged of a collection, by version."""
        rows = self._fetch("nights_of_versions", collection=collection, model_name=model_name)
        return {row["version"]: VersionNights.model_validate(dict(row)) for row in rows}

    def nights_since_promotion(self, collection: str, model: ModelRef, before: str) -> int | None:
        """Count the nights before ``before`` that a version has judged since it replaced another one.

        Returns:
            None when nothing cools down: it is a model's first champion, or came back by a rollback.
        """
        changes = self._fetch("last_change_of_champion", model_name=model.name, version=model.version)
        if not changes or changes[0]["event"] != "promoted":
            return None
        rows = self._fetch(
            "count_nights_since",
            collection=collection,
            model_name=model.name,
            model_version=model.version,
            before=before,
            since=changes[0]["at"],
        )
        return int(rows[0]["nights"])

    def add_verdicts(self, collection: str, verdicts: Iterable[NewVerdict], now: datetime) -> int:
        """Record verdicts, all of them or none; no query changes or deletes one.

        Args:
            collection: Whose images they are on.
            verdicts: In the order in which they were given.
            now: When those are given that do not say when; never before the collection's newest.

        Returns:
            How many were new. The same verdict on the same subject by the same person again is none.
        """
        with self._database.writing() as connection:
            return append_verdicts(connection, self._queries, collection, verdicts, now)

    def verdicts(self, collection: str, *, nights: Collection[str] | None = None) -> list[Verdict]:
        """Return every verdict ever given, in the order in which they were recorded.

        Args:
            collection: Whose verdicts.
            nights: Only those that were given on these nights; their images may have others, on a copy elsewhere.
        """
        with self._database.reading() as connection:
            return read_verdicts(connection, self._queries, collection, nights)

    def publish_retraining(self, retraining: Retraining) -> bool:
        """Replace what is known of a retraining, in one transaction.

        Returns:
            False when it was published before, whenever that one finished: then no row changes.
        """
        row = retraining_row(retraining)
        with self._database.writing() as connection:
            if connection.execute(self._queries["retraining_sha256"], row).scalar() == row["result_sha256"]:
                return False
            connection.execute(self._queries["delete_retraining"], row)
            connection.execute(self._queries["insert_retraining"], row)
            if gates := gate_rows(retraining):
                connection.execute(self._queries["insert_gate"], gates)
        return True

    def list_retrainings(self, collection: str | None = None, limit: int = 100) -> list[Retraining]:
        """Return the newest retrainings, newest first, of one collection or of all."""
        return retrainings_of(self._fetch("list_retrainings", collection=collection, limit=limit))

    def retraining_outcomes(self, model_name: str) -> dict[str, Outcome]:
        """Return what came of the last retraining of every version that was a challenger."""
        rows = self._fetch("retraining_outcomes", model_name=model_name)
        return {row["challenger_version"]: row["outcome"] for row in rows}

    def _fetch(self, query: str, **parameters: str | int | None) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(self._queries[query], parameters).mappings())


def _events(rows: Iterable[RowMapping]) -> list[PromotionEvent]:
    return [PromotionEvent.model_validate(dict(row)) for row in rows]
