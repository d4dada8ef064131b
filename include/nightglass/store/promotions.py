"""The promotion log's entries: what is asked for, and the row that it becomes."""

from datetime import datetime

from nightglass.errors import InputError
from nightglass.records import Record
from nightglass.store.rows import Event, PromotionEvent, Row, format_time, storable


class ChampionChange(Record):
    """A new champion that somebody asks for; the log adds when it was and which version it replaced."""

    collection: str
    event: Event
    version: str
    by: str
    reason: str
    run: str | None = None


def promotion_row(model_name: str, change: ChampionChange, newest: PromotionEvent | None, now: datetime) -> Row:
    """Return the row that follows ``newest``, the log's last entry of this model.

    Raises:
        InputError: Nobody is named, or no reason is given.
    """
    if not change.by.strip() or not change.reason.strip():
        got = f"by={change.by!r} reason={change.reason!r}"
        raise InputError(f"{model_name}: expected who changes the champion and why, got {got}")
    at = format_time(now)
    return storable(
        {
            **change.model_dump(),
            "model_name": model_name,
            "previous_version": newest.version if newest else None,
            # The clocks of two machines differ; the log's times are in the order of its entries.
            "at": max(at, newest.at) if newest else at,
        }
    )


class VersionNights(Record):
    """What a version has judged of a collection: how many nights, from when to when, and their images."""

    version: str
    nights: int
    first_night: str
    last_night: str
    scored: int
    anomalous: int

    @property
    def anomaly_rate(self) -> float | None:
        """Anomalous images of those scored; None where none was."""
        return self.anomalous / self.scored if self.scored else None
