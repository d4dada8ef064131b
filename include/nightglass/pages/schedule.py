"""Which night of a collection should have been published by now, as its schedule says."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from nightglass.collections import Collection

_MOST_MISSING = 30


def last_due_night(collection: Collection, now: datetime) -> date | None:
    """Return the newest night that must have been published by ``now``; None for one that is started by hand.

    A night is due when its run's deadline for the folder has passed.
    """
    from croniter import croniter

    if not collection.schedule:
        return None
    zone = ZoneInfo(collection.timezone)
    latest = now.astimezone(zone) - timedelta(hours=collection.ready.deadline_hours)
    run: datetime = croniter(collection.schedule, latest).get_prev(datetime)
    night = run.date() - timedelta(days=collection.night_lag_days)
    return night if night >= collection.start_date else None


def find_missing_nights(collection: Collection, published: set[str], now: datetime) -> list[str]:
    """Return the nights since the first one published that are due and not published, newest first.

    At most 30 days back; every day counts, as a night is a date, unless the schedule leaves out whole days.
    """
    from croniter import croniter

    due = last_due_night(collection, now)
    if due is None or not published:
        return []
    first = max(date.fromisoformat(min(published)), due - timedelta(days=_MOST_MISSING))
    zone = ZoneInfo(collection.timezone)
    missing = []
    for back in range((due - first).days + 1):
        night = due - timedelta(days=back)
        run_day = datetime.combine(night + timedelta(days=collection.night_lag_days), datetime.min.time(), zone)
        has_run = (
            croniter(collection.schedule, run_day - timedelta(seconds=1)).get_next(datetime).date() == run_day.date()
        )
        if has_run and night.isoformat() not in published:
            missing.append(night.isoformat())
    return missing
