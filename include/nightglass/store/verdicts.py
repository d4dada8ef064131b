"""Verdicts as rows of the ``verdict_log``, and rows as verdicts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from operator import itemgetter

from sqlalchemy import Connection, String, TextClause, bindparam

from nightglass.errors import InputError
from nightglass.retraining.verdicts import NewVerdict, Verdict
from nightglass.store.rows import Row, format_time, storable

Queries = Mapping[str, TextClause]
_SUBJECTS_AT_ONCE = 1000  # a statement has room for some thousands of parameters


def append_verdicts(
    connection: Connection, queries: Queries, collection: str, verdicts: Iterable[NewVerdict], now: datetime
) -> int:
    """Append what is new of ``verdicts`` and return how many were; the connection holds the write lock."""
    moment = _choose_moment(connection, queries, collection, now)
    rows = [_verdict_row(collection, verdict, moment) for verdict in verdicts]
    said = _said_before(connection, queries, collection, {row["subject"] for row in rows})
    entry = connection.execute(queries["last_verdict_entry"]).scalar_one()
    new: list[Row] = []
    for row in rows:
        before = said[row["subject"]]
        if not _is_known(row, before):
            before.append(row | {"is_withdrawn": False})
            before.sort(key=itemgetter("at"))  # stable: of two at one moment the one recorded last is the later
            new.append(row | {"entry": entry + len(new) + 1})
    if new:
        connection.execute(queries["append_verdict"], new)
    return len(new)


def read_verdicts(
    connection: Connection, queries: Queries, collection: str, nights: Collection[str] | None
) -> list[Verdict]:
    """Return the verdicts of a collection, or of some nights of it, in the order in which they were recorded."""
    if nights is None:
        found = connection.execute(queries["list_verdicts"], {"collection": collection})
    else:
        query = with_list(queries["list_verdicts_of_nights"], "nights")
        found = connection.execute(query, {"collection": collection, "nights": sorted(nights)})
    return [Verdict.model_validate(dict(row)) for row in found.mappings()]


def _choose_moment(connection: Connection, queries: Queries, collection: str, now: datetime) -> str:
    """Return ``now``, or a moment after the collection's newest verdict.

    People give verdicts on machines whose clocks differ: what is said last must count as the last.
    """
    newest = connection.execute(queries["last_verdict_at"], {"collection": collection}).scalar_one()
    moment = format_time(now)
    if newest is None or newest < moment:
        return moment
    return format_time(datetime.fromisoformat(newest) + timedelta(microseconds=1))


def _said_before(
    connection: Connection, queries: Queries, collection: str, subjects: set[str]
) -> defaultdict[str, list[Row]]:
    """Return what was said of each subject, in the order of the times."""
    query = with_list(queries["verdicts_on_subjects"], "subjects")
    said: defaultdict[str, list[Row]] = defaultdict(list)
    for some in in_pieces(subjects):
        for row in connection.execute(query, {"collection": collection, "subjects": some}).mappings():
            said[row["subject"]].append(dict(row))
    return said


def _is_known(row: Row, said: list[Row]) -> bool:
    """Tell whether the person said just this at this very moment, or said it last of all until then.

    What was taken back is not said any more; but a file that has it with its time does not bring it back.
    """
    last = next((other for other in reversed(said) if other["at"] <= row["at"] and not other["is_withdrawn"]), None)
    return any(
        (other is last or other["at"] == row["at"])
        and (other["verdict"], other["by"]) == (row["verdict"], row["by"])
        and row["note"] in {"", other["note"]}
        for other in said
    )


def _verdict_row(collection: str, verdict: NewVerdict, moment: str) -> Row:
    if not verdict.by.strip():
        raise InputError(f"{collection}: expected who gives the verdict, got by={verdict.by!r}")
    return storable(
        {
            **verdict.model_dump(),
            "collection": collection,
            "subject": verdict.subject,
            "at": moment if verdict.at is None else format_time(verdict.at),
        }
    )


def in_pieces(subjects: Iterable[str]) -> Iterator[list[str]]:
    """Cut subjects into as many as a statement has room for."""
    ordered = sorted(set(subjects))
    for start in range(0, len(ordered), _SUBJECTS_AT_ONCE):
        yield ordered[start : start + _SUBJECTS_AT_ONCE]


def with_list(query: TextClause, name: str) -> TextClause:
    """Let a parameter of ``query`` be a list of texts."""
    return query.bindparams(bindparam(name, expanding=True, type_=String()))
