"""Which night of a collection should have been published by now, as its schedule says."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from nightglass.collections import Collection

_MOST_MISSING = 30


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


def find_missing_nights(collection: Collection, published: set[str], now: datetime) -> list[str]:
    """Return the nights since the first one published that are due and not published, newest first.

    At most 30 days back, and none before the collection's ``start_date``. Days that the schedule leaves out have none.
    """
    from croniter import croniter

    due = last_due_night(collection, now)
    if due is None or not published:
        return []
    lag = timedelta(days=collection.night_lag_days)
    first = max(date.fromisoformat(min(published)), due - timedelta(days=_MOST_MISSING), collection.start_date - lag)
    zone = ZoneInfo(collection.timezone)
    missing = []
    for back in range((due - first).days + 1):
        night = due - timedelta(days=back)
        midnight = datetime.combine(night + lag, datetime.min.time(), zone)
        run: datetime = croniter(collection.schedule, midnight - timedelta(seconds=1)).get_next(datetime)
        if run.date() == midnight.date() and night.isoformat() not in published:
            missing.append(night.isoformat())
    return missing
