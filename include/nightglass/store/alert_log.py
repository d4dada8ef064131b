"""What people were told, in the results database: who tells it now, and whether it was told before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, RowMapping, TextClause

from nightglass.store.database import Database
from nightglass.store.rows import format_time, storable

#: Whoever began to tell an alert so long ago did not live to say whether people were told. Sending takes less, and a
#: task that is tried again waits longer: its second try may be the last occasion to tell it.
CLAIM = timedelta(seconds=45)


class NewAlert(BaseModel):
    """An alert as the log keeps it; ``cause_sha256`` is empty where it stands alone."""

    model_config = ConfigDict(frozen=True)

    audience: str
    alert_key: str
    kind: str
    collection: str
    night: str
    title: str
    sentence: str
    cause_sha256: str
    content_sha256: str


@dataclass(frozen=True)
class Claim:
    """What to do about an alert: tell it or not, and whom the same cause has struck lately, this one included.

    ``others`` are the keys of the other alerts of its cause. Of some of them nobody could be told (``has_untold``), or
    another process tells one at this moment (``is_telling``).
    """

    is_due: bool
    struck: tuple[tuple[str, str], ...] = ()  # collection and night, the latest last
    others: tuple[str, ...] = ()
    has_untold: bool = False
    is_telling: bool = False


@dataclass(frozen=True)
class Trouble:
    """A service that did not answer, and people know."""

    alert_key: str
    collection: str
    sentence: str
    first_at: str
    last_at: str
    happened: int


class AlertLog:
    """The log of alerts."""

    def __init__(self, database: Database, queries: Mapping[str, TextClause]) -> None:
        self._database = database
        self._queries = queries

    def claim(self, alert: NewAlert, now: datetime, *, repeat: timedelta, together: timedelta) -> Claim:
        """Record that an alert's matter happened, and say whether this process has to tell it.

        Args:
            alert: What happened.
            now: When, with a time zone.
            repeat: The same content is told again after this long at the earliest.
            together: How far back alerts of one cause belong together.
        """
        row = storable(alert.model_dump() | {"now": format_time(now)})
        with self._database.writing() as connection:
            known = connection.execute(self._queries["find_alert"], row).mappings().first()
            is_due = known is None or _is_due(known, alert, now, repeat)
            row["claimed_at"] = format_time(now) if is_due else None
            if known is not None and known["over_at"] is not None:
                connection.execute(self._queries["reopen_alert"], row)
            connection.execute(self._queries["insert_alert" if known is None else "repeat_alert"], row)
            return self._describe(connection, row, now, now - together) if row["cause_sha256"] else Claim(is_due)

    def confirm(self, alert: NewAlert, now: datetime, *, by_itself: bool, others: Sequence[str] = ()) -> None:
        """Record that people know: told of it by itself, or of all that its cause has struck, ``others`` too."""
        row = storable(alert.model_dump() | {"now": format_time(now), "times": int(by_itself)})
        with self._database.writing() as connection:
            connection.execute(self._queries["confirm_alert"], row)
            if others:
                connection.execute(self._queries["confirm_other"], [row | {"alert_key": key} for key in others])

    def release(self, audience: str, alert_key: str) -> None:
        """Record that nobody could be told of an alert, or of a trouble's end."""
        key = storable({"audience": audience, "alert_key": alert_key})
        with self._database.writing() as connection:
            connection.execute(self._queries["release_alert"], key)

    def open_troubles(self, audience: str) -> list[Trouble]:
        """Return the services whose trouble an audience was told of, and not its end; the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(self._queries["open_troubles"], {"audience": audience}).mappings()
            return [Trouble(**row) for row in rows]

    def claim_end(self, audience: str, alert_key: str, now: datetime) -> bool:
        """Say whether this process has to tell that a service answers again; False where another one does."""
        key = {"audience": audience, "alert_key": alert_key, "now": format_time(now)}
        with self._database.writing() as connection:
            expired = {"expired_at": format_time(now - CLAIM)}
            return connection.execute(self._queries["claim_end"], key | expired).rowcount == 1

    def end_trouble(self, audience: str, alert_key: str, now: datetime) -> None:
        """Record that people know that a service answers again."""
        key = {"audience": audience, "alert_key": alert_key, "now": format_time(now)}
        with self._database.writing() as connection:
            connection.execute(self._queries["end_trouble"], key)

    def _describe(self, connection: Connection, row: Mapping[str, object], now: datetime, since: datetime) -> Claim:
        found = connection.execute(self._queries["alerts_of_cause"], dict(row) | {"since": format_time(since)})
        alerts = found.mappings().all()
        others = [each for each in alerts if each["alert_key"] != row["alert_key"]]
        untold = [each for each in others if each["told_at"] is None]
        telling = [each for each in untold if _is_claimed(each, now)]
        return Claim(
            is_due=row["claimed_at"] is not None,
            struck=tuple({each["collection"]: str(each["night"]) for each in alerts}.items()),
            others=tuple(each["alert_key"] for each in others),
            has_untold=len(untold) > len(telling),
            is_telling=bool(telling),
        )


def _is_due(known: RowMapping, alert: NewAlert, now: datetime, repeat: timedelta) -> bool:
    if known["content_sha256"] != alert.content_sha256:
        return True
    if _is_claimed(known, now):
        return False
    if known["told_at"] is None or known["over_at"] is not None:
        return True
    return now - datetime.fromisoformat(known["told_at"]) >= repeat


def _is_claimed(known: RowMapping, now: datetime) -> bool:
    """Tell whether a process tells the alert at this moment."""
    return known["claimed_at"] is not None and now - datetime.fromisoformat(known["claimed_at"]) < CLAIM
