"""What the analyst's pages ask of the log of verdicts: little of it at a time, however long it is."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from nightglass.errors import InputError
from nightglass.retraining.verdicts import NewVerdict, Verdict
from nightglass.store.database import Database
from nightglass.store.rows import format_time
from nightglass.store.verdicts import Queries, append_verdicts, in_pieces, with_list


class VerdictChangedError(InputError):
    """Somebody said something meanwhile that whoever writes now has not seen."""


class VerdictLog:
    """The verdicts of all collections; entries of words and of withdrawals are counted together."""

    def __init__(self, database: Database, queries: Queries) -> None:
        self._database, self._queries = database, queries

    def last_entry(self) -> int:
        """Return the newest entry; 0 where nobody ever said anything."""
        with self._database.reading() as connection:
            return int(connection.execute(self._queries["last_verdict_entry"]).scalar_one())

    def last_words(self, collection: str, subjects: Iterable[str]) -> list[Verdict]:
        """Return each person's last word on some subjects, without what they took back, subject by subject in order.

        Args:
            collection: Whose images.
            subjects: As :attr:`VerdictFields.subject` names them.
        """
        return self._of_subjects("last_words", collection, subjects)

    def history(self, collection: str, subjects: Iterable[str]) -> list[Verdict]:
        """Return everything that was ever said of some subjects, also what was taken back."""
        return self._of_subjects("list_verdicts_on_subjects", collection, subjects)

    def last_words_of_nights(self, collection: str, before: str, limit: int) -> list[Verdict]:
        """Return each person's last word on what the last nights showed.

        That is on their top anomalies, whenever it was said, on the nights themselves and on their slices.

        Args:
            collection: Whose nights.
            before: Only nights before this one.
            limit: How many nights, as in :meth:`Store.recent_top_anomalies`.
        """
        values = {"collection": collection, "before": before, "limit": limit}
        with self._database.reading() as connection:
            rows = connection.execute(self._queries["last_words_of_nights"], values).mappings()
            return [Verdict.model_validate(dict(row)) for row in rows]

    def last_standing(self, collection: str, night: str, by: str, source: str) -> Verdict | None:
        """Return what a person said last of a night or of something of it, if it is in effect; else what before that.

        Args:
            collection: Whose night.
            night: Where it was said.
            by: Who said it.
            source: What recorded it.
        """
        values = {"collection": collection, "night": night, "by": by, "source": source}
        with self._database.reading() as connection:
            row = connection.execute(self._queries["last_standing_word"], values).mappings().first()
            return Verdict.model_validate(dict(row)) if row else None

    def add_unless_changed(self, collection: str, verdict: NewVerdict, now: datetime, *, seen: int) -> int:
        """Record a verdict, unless others said something of its night, or took it back, after the entry ``seen``.

        Returns:
            How many were new, as :meth:`Store.add_verdicts`.

        Raises:
            VerdictChangedError: They did; nothing is recorded.
        """
        with self._database.writing() as connection:
            values = {"collection": collection, "night": verdict.night, "entry": seen, "by": verdict.by}
            changes = list(connection.execute(self._queries["changes_by_others"], values).mappings())
            if changes:
                names = ", ".join(sorted({change["by"] for change in changes})[:3])
                words = "verdict was" if len(changes) == 1 else "verdicts were"
                told = f"{len(changes):,} {words} given or taken back by {names} since, the last at {changes[-1]['at']}"
                raise VerdictChangedError(f"{collection} {verdict.night}: {told}: look at them first")
            return append_verdicts(connection, self._queries, collection, [verdict], now)

    def withdraw(self, collection: str, entry: int, by: str, source: str, now: datetime, *, night: str) -> Verdict:
        """Take a verdict back: what was in effect before it is in effect again.

        Args:
            collection: Whose verdict.
            entry: Which one.
            by: Who takes it back: only who gave it can.
            source: What records it, which must have recorded the verdict too.
            now: When.
            night: Where it was said.

        Returns:
            The verdict, as it was.

        Raises:
            InputError: This person gave no such verdict there.
            VerdictChangedError: It is not in effect: it was taken back before, or somebody spoke after it.
        """
        with self._database.writing() as connection:
            row = (
                connection.execute(self._queries["find_verdict"], {"collection": collection, "entry": entry})
                .mappings()
                .first()
            )
            verdict = Verdict.model_validate(dict(row)) if row else None
            if verdict is None or (verdict.by, verdict.night, verdict.source) != (by, night, source):
                told = f"expected a verdict of {by!r} from the same place with the entry {entry}, got none"
                raise InputError(f"{collection} {night}: {told}")
            self._check_in_effect(connection, collection, verdict)
            last = int(connection.execute(self._queries["last_verdict_entry"]).scalar_one())
            withdrawal = {
                "entry": last + 1, "withdrawn": entry, "at": format_time(now), "by": by, "source": source
            }  # fmt: skip
            connection.execute(self._queries["append_withdrawal"], withdrawal)
            return verdict

    def _check_in_effect(self, connection: Connection, collection: str, verdict: Verdict) -> None:
        if verdict.withdrawn_at is not None:
            raise VerdictChangedError(
                f"{collection} {verdict.night}: this verdict was taken back at {verdict.withdrawn_at}"
            )
        query = with_list(self._queries["last_words"], "subjects")
        values = {"collection": collection, "subjects": [verdict.subject]}
        last = list(connection.execute(query, values).mappings())[-1]
        if last["entry"] != verdict.entry:
            raise VerdictChangedError(
                f"{collection} {verdict.night}: {last['by']} said {last['verdict']} at {last['at']}, after your "
                f"{verdict.verdict}, which does not count any more: nothing is to be taken back"
            )

    def _of_subjects(self, query: str, collection: str, subjects: Iterable[str]) -> list[Verdict]:
        statement = with_list(self._queries[query], "subjects")
        found: list[Verdict] = []
        with self._database.reading() as connection:
            for some in in_pieces(subjects):
                rows = connection.execute(statement, {"collection": collection, "subjects": some}).mappings()
                found.extend(Verdict.model_validate(dict(row)) for row in rows)
        return found
