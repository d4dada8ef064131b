"""Telling each matter once: the log is asked first, and what goes wrong here costs an alert and nothing else."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from filelock import Timeout

from nightglass.alerting.audience import Audience
from nightglass.alerting.delivery import deliver
from nightglass.alerting.file_log import FileLog
from nightglass.alerting.message import Alert
from nightglass.alerting.services import DISK, S3, services_of
from nightglass.alerting.wording import about_recovery, gather
from nightglass.errors import NightglassError
from nightglass.settings import Settings
from nightglass.store import Claim, NewAlert, Store, Trouble

log = logging.getLogger(__name__)

#: Alerts of one cause within this long belong together.
TOGETHER = timedelta(hours=1)
#: As many collections are told of together; before, each by itself, and afterwards at every doubling.
TOGETHER_FROM = 3


def tell(alert: Alert, audience: Audience, settings: Settings) -> bool:
    """Tell people of a matter, unless they know; never raises.

    Returns:
        Whether somebody was told by this call.
    """
    if not audience.urls:
        return False
    try:
        return _tell(alert, audience, settings)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with an alert, the night goes on
        log.warning("alert %r was not told: %s: %s", alert.title, type(error).__name__, error)
        return False


def tell_recovery(
    collection: str, night: str, urls: Iterable[str], audience: Audience, settings: Settings, run_url: str | None
) -> None:
    """Tell whoever heard of a service that did not answer that it does again; never raises.

    A night was published: so the database and MLflow answer, and for this collection so do the stores of ``urls``,
    its images and results.
    """
    if not audience.urls:
        return
    answered = services_of(urls)

    def is_over(trouble: Trouble) -> bool:
        service = trouble.alert_key.partition("/")[2]
        # Another collection may have its images on another store.
        return service in answered and (service not in {S3, DISK} or trouble.collection == collection)

    def tell_end(trouble: Trouble) -> bool:
        return _deliver(about_recovery(trouble, collection, night, run_url), audience)

    try:
        _end_troubles(is_over, tell_end, audience, settings)
    except Exception as error:  # noqa: BLE001 - the same
        log.warning("the end of a trouble was not told: %s: %s", type(error).__name__, error)


def _tell(alert: Alert, audience: Audience, settings: Settings) -> bool:
    row = _row_of(alert, audience)
    try:
        with _open_store(settings) as store:
            claim = store.alert_log.claim(row, datetime.now(UTC), repeat=audience.repeat, together=TOGETHER)
    except NightglassError as error:
        log.warning("the log of alerts does not answer, a file stands in: %s", error)
        return _tell_without_database(alert, row, audience, settings)
    if not claim.is_due:
        return False
    chosen = _choose(alert, claim, settings)
    was_told = chosen is not None and _deliver(chosen, audience)
    # Where others of its cause are being told, whether they are is not known yet.
    is_known = was_told or (chosen is None and not claim.is_telling)
    with _open_store(settings) as store:
        if is_known:
            others = claim.others if was_told and chosen is not alert else ()
            store.alert_log.confirm(row, datetime.now(UTC), by_itself=was_told, others=others)
        else:
            store.alert_log.release(row.audience, row.alert_key)
    return was_told


def _tell_without_database(alert: Alert, row: NewAlert, audience: Audience, settings: Settings) -> bool:
    file_log = FileLog(settings.home / "alerts")
    try:
        if not file_log.claim(row, datetime.now(UTC), audience.repeat):
            return False
    except (OSError, Timeout) as error:
        # Twice is better than not at all.
        log.warning("alert %r may be told again: %s", alert.title, error)
        return _deliver(alert, audience)
    was_told = _deliver(alert, audience)
    if not was_told:
        file_log.release(row)
    return was_told


def _choose(alert: Alert, claim: Claim, settings: Settings) -> Alert | None:
    """Return what is told: the alert, one for all whom its cause has struck, or nothing, as they are told already."""
    if len(claim.struck) < TOGETHER_FROM:
        return alert
    doublings, rest = divmod(len(claim.struck), TOGETHER_FROM)
    is_step = rest == 0 and doublings & (doublings - 1) == 0
    return gather(alert, claim.struck, TOGETHER, settings) if is_step or claim.has_untold else None


def _deliver(alert: Alert, audience: Audience) -> bool:
    """Return whether anybody was told; the others' warnings are logged, and telling all again would be worse."""
    return len(deliver(audience.urls, alert)) < len(audience.urls)


def _end_troubles(
    is_over: Callable[[Trouble], bool], tell_end: Callable[[Trouble], bool], audience: Audience, settings: Settings
) -> None:
    """Tell the end of the troubles that are over; what nobody could be told of stays, for the next night to tell."""
    with _open_store(settings) as store:
        log_of_alerts = store.alert_log
        for trouble in filter(is_over, log_of_alerts.open_troubles(audience.name)):
            if not log_of_alerts.claim_end(audience.name, trouble.alert_key, datetime.now(UTC)):
                continue
            if tell_end(trouble):
                log_of_alerts.end_trouble(audience.name, trouble.alert_key, datetime.now(UTC))
            else:
                log_of_alerts.release(audience.name, trouble.alert_key)
    file_log = FileLog(settings.home / "alerts")
    for trouble in file_log.take(audience.name, is_over):
        if not tell_end(trouble):
            file_log.put_back(audience.name, trouble)


def _row_of(alert: Alert, audience: Audience) -> NewAlert:
    return NewAlert(
        audience=audience.name,
        alert_key=alert.key,
        kind=alert.kind,
        collection=alert.collection,
        night=alert.night,
        title=alert.title,
        sentence=alert.sentence,
        cause_sha256=alert.cause_sha256,
        content_sha256=alert.content_sha256,
    )


def _open_store(settings: Settings) -> Store:
    store = Store.connect(settings.database_url, settings.sql_dir)
    store.migrate()
    return store
