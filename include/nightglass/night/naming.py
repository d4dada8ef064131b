"""Which night a run of the nightly DAG is about."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from nightglass.collections import Collection


def name_night(collection: Collection, asked: str | None, moment: datetime) -> str:
    """Return the night (``YYYY-MM-DD``) of a run.

    Args:
        collection: Its collection.
        asked: What the run's form says; it wins.
        moment: Else the day of this moment in the collection's time zone counts, less ``night_lag_days``.
    """
    if asked:
        return asked
    local = moment.astimezone(ZoneInfo(collection.timezone))
    return (local.date() - timedelta(days=collection.night_lag_days)).isoformat()
