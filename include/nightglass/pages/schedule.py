"""Which night of a collection should have been published by now, as its schedule says."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nightglass.collections import Collection

_MOST_MISSING = 30
_RUN_HOURS = 24.0  # after the deadline of its folder a scheduled night is published within a day


def last_due_night(collection: Collection, now: datetime) -> date | None:
    """Return the newest night that must have been published by ``now``; None where none must.

    A night is due when its run's deadline for the folder has passed.
    """
    from croniter import CroniterError, croniter

    if not collection.schedule:
        return None
    latest = (now - timedelta(hours=collection.ready.deadline_hours)).astimezone(ZoneInfo(collection.timezone))
    try:
        run: datetime = croniter(collection.schedule, latest).get_prev(datetime)
    except CroniterError:  # the collection's DAG says what is wrong with it
        return None
    return run.date() - timedelta(days=collection.night_lag_days) if run.date() >= collection.start_date else None


def find_missing_nights(collection: Collection, published: Mapping[str, str], now: datetime) -> list[str]:
    """Return the nights that are due and not published, newest first.

    At most 30 days back, and none before the collection's ``start_date``. With ``catchup`` from the first published
    night on; without it from the first that its schedule published: a night that was run by hand, months ago perhaps,
    does not tell that the DAG was switched on. Days that the schedule leaves out have none.

    Args:
        collection: Whose nights.
        published: When each was published, ISO 8601, by its date.
        now: With a time zone.
    """
    due = last_due_night(collection, now)
    if due is None or not published:
        return []
    started = set(published) if collection.catchup else _find_scheduled(collection, published)
    if not started:
        return []
    lag = timedelta(days=collection.night_lag_days)
    first = max(date.fromisoformat(min(started)), due - timedelta(days=_MOST_MISSING), collection.start_date - lag)
    nights = (due - timedelta(days=back) for back in range((due - first).days + 1))
    return [
        night.isoformat()
        for night in nights
        if night.isoformat() not in published and _find_run(collection, night) is not None
    ]


def _find_scheduled(collection: Collection, published: Mapping[str, str]) -> set[str]:
    """Return the nights that were published when the schedule's run would publish them."""
    within = timedelta(hours=collection.ready.deadline_hours + _RUN_HOURS)
    found = set()
    for night, at in published.items():
        run = _find_run(collection, date.fromisoformat(night))
        if run is not None and run <= datetime.fromisoformat(at) <= run + within:
            found.add(night)
    return found


def _find_run(collection: Collection, night: date) -> datetime | None:
    """Return the first run that the schedule has on the day of ``night``'s run; None where it has none."""
    day = night + timedelta(days=collection.night_lag_days)
    return _first_run(str(collection.schedule), collection.timezone, day)


@lru_cache(maxsize=10_000)
def _first_run(schedule: str, timezone: str, day: date) -> datetime | None:
    from croniter import croniter

    midnight = datetime.combine(day, datetime.min.time(), ZoneInfo(timezone))
    run: datetime = croniter(schedule, midnight - timedelta(seconds=1)).get_next(datetime)
    return run if run.date() == day else None
