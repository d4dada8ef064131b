"""Who hears of a collection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from nightglass.collections import Collection


@dataclass(frozen=True)
class Audience:
    """Apprise addresses, which are secrets, and the name of the Airflow connection that holds them.

    The log of alerts knows the name alone; without a connection (``NIGHTGLASS_ALERT_URLS``) it is empty.
    """

    name: str
    urls: tuple[str, ...] = field(repr=False)
    repeat: timedelta = timedelta(hours=24)


def audience_of(collection: Collection, urls: Sequence[str]) -> Audience:
    """Return who hears of a collection, given the addresses of its connection or of the environment."""
    alerts = collection.alerts
    return Audience(alerts.connection or "", tuple(urls), timedelta(hours=alerts.repeat_hours))
