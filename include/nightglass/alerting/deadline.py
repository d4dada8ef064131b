"""A night that is not published in time."""

import logging
from datetime import datetime

from nightglass.alerting.audience import Audience
from nightglass.alerting.telling import tell
from nightglass.alerting.wording import about_deadline
from nightglass.errors import NightglassError
from nightglass.settings import Settings
from nightglass.store import Store

log = logging.getLogger(__name__)


def tell_if_unpublished(
    *,
    collection: str,
    night: str,
    due: datetime,
    queued_at: datetime,
    state: str,
    run_url: str,
    audience: Audience,
    settings: Settings,
) -> bool:
    """Tell people that a night is not published, unless it is, or nobody could expect it.

    Args:
        collection: Whose night.
        night: ``YYYY-MM-DD``.
        due: When it had to be published, in the time zone that people read it in.
        queued_at: When its run came to be; a run that was late from the start scores an old night.
        state: What the run does at this moment.
        run_url: The run's address.
        audience: Who is told.
        settings: Where the results are.

    Returns:
        Whether somebody was told by this call.
    """
    if queued_at >= due or _is_published(collection, night, settings):
        return False
    return tell(about_deadline(collection, night, due, state, run_url), audience, settings)


def _is_published(collection: str, night: str, settings: Settings) -> bool:
    try:
        with Store.connect(settings.database_url, settings.sql_dir) as store:
            store.migrate()
            return store.nights.find(collection, night) is not None
    except NightglassError as error:
        log.warning("%s %s: whether it is published is not known: %s", collection, night, error)
        return False
