"""What people are told of nights and services: one function a matter, each pure."""

import re
from datetime import datetime, timedelta

from nightglass.alerting.message import Alert, Link
from nightglass.plain_text import write_out
from nightglass.records import Assessment
from nightglass.settings import Settings
from nightglass.store import Trouble

#: The tab of a run in Airflow's UI that shows its night, as plugins/main.py registers it.
NIGHT_TAB = "plugin/nightglass-night"
_OVERVIEW = "plugin/nightglass"
_STATES = {"queued": "waits in the queue", "running": "is still running", "failed": "failed", "success": "has ended"}
#: What differs between collections in what they are told of one cause.
_PLACES = re.compile(r"\S*[/\\]\S*|\d+|'[^']*'")


def run_links(run_url: str | None, *, has_night: bool = False) -> tuple[Link, ...]:
    """Return the links to a run in Airflow's UI, and to the page of its night; none where no run is known."""
    if run_url is None:
        return ()
    run = Link("Airflow run", run_url)
    return (Link("Night", f"{run_url}/{NIGHT_TAB}"), run) if has_night else (run,)


def about_decision(assessment: Assessment, report_url: str, run_url: str | None) -> Alert:
    """Return what a night decided; where its data failed, which expectations did."""
    decision, validation = assessment.decision, assessment.validation
    failed = [] if validation is None else [each for each in validation.expectations if not each.passed]
    has_failed = validation is not None and not validation.passed
    details = [f"{each.name}: expected {each.expected}, got {each.observed}" for each in failed]
    reasons = [reason.text for reason in decision.reasons if reason.verb is decision.verb]
    return Alert(
        kind="validation" if has_failed else str(decision.verb),
        key=f"decision/{assessment.collection}/{assessment.night}",
        subject=f"{assessment.collection} {assessment.night}",
        headline=f"{decision.verb}: its data failed validation" if has_failed else str(decision.verb),
        sentence=decision.sentence,
        details=tuple(details if has_failed else _others(reasons, decision.sentence)),
        links=(*run_links(run_url, has_night=True), Link("Report", report_url)),
        collection=assessment.collection,
        night=assessment.night,
    )


def about_failure(
    collection: str,
    night: str,
    dag_id: str,
    task_id: str,
    error: BaseException | None,
    run_url: str,
    *,
    run: str,
    is_mapped: bool,
) -> Alert:
    """Return which task failed for good, and why; hundreds of shards that fail alike are one matter.

    Args:
        collection: Empty where its file cannot be read.
        night: Empty where the DAG is about none.
        dag_id: Whose task it is.
        task_id: The task.
        error: None where its process was killed.
        run_url: The run's address.
        run: The run, where each is a matter of its own.
        is_mapped: It is one of many that fail alike.
    """
    reason = write_out(str(error)) if error else "its process was killed, or timed out"
    kind = type(error).__name__
    key = f"failure/{dag_id}/{night or run}/{task_id}"
    return Alert(
        kind="failure",
        key=f"{key}/{kind}" if is_mapped else key,
        subject=f"{collection} {night}" if collection and night else dag_id,
        headline=f"{task_id} failed",
        sentence=reason,
        links=run_links(run_url),
        collection=collection or dag_id,
        night=night,
        cause=f"{kind}: {_strip_places(reason, collection)}",
        content=kind if is_mapped else None,
    )


def about_service(service: str, collection: str, night: str, task_id: str, error: BaseException, run_url: str) -> Alert:
    """Return that a service does not answer: one matter, however many tasks and collections it strikes."""
    whose = f"{collection} {night}".strip()
    return Alert(
        kind="service",
        key=f"service/{service}",
        subject="",
        headline=f"{service} does not answer (noticed by {whose})",
        sentence=f"{_capital(service)} does not answer: {task_id} of {whose} gave up after its retries.",
        details=(
            str(error),
            "Other tasks that give up for it are not told; you hear of its end when a night is published again.",
        ),
        links=run_links(run_url),
        collection=collection,
        night=night,
        content=service,
    )


def about_recovery(trouble: Trouble, collection: str, night: str, run_url: str | None) -> Alert:
    """Return that a service answers again."""
    service = trouble.alert_key.partition("/")[2]
    since, until = (moment[:16].replace("T", " ") for moment in (trouble.first_at, trouble.last_at))
    tasks = "one task" if trouble.happened == 1 else f"{trouble.happened} tasks"
    return Alert(
        kind="service",
        key=trouble.alert_key,
        subject="",
        headline=f"{service} answers again ({collection} {night} was published)",
        sentence=f"{_capital(service)} answers again: {collection} {night} was published.",
        details=(f"{_capital(tasks)} gave up on it, {since} to {until} UTC; clear what is still red.",),
        links=run_links(run_url),
        collection=collection,
        night=night,
    )


def about_deadline(collection: str, night: str, due: datetime, state: str, run_url: str) -> Alert:
    """Return that a night is not published although it was due; ``due`` is shown in its own time zone."""
    return Alert(
        kind="deadline",
        key=f"deadline/{collection}/{night}",
        subject=f"{collection} {night}",
        headline="not published in time",
        sentence=f"{collection} {night} was due by {due:%Y-%m-%d %H:%M} ({due.tzname()}) and is not published; "
        f"its run {_STATES.get(state, f'is {state}')}.",
        links=run_links(run_url),
        collection=collection,
        night=night,
        cause="not published in time",
        content=f"{due.isoformat()}",
    )


def about_test(collection: str, settings: Settings) -> Alert:
    """Return a message that is about nothing, to try the addresses with."""
    return Alert(
        kind="test",
        key=f"test/{collection}",
        subject=collection,
        headline="a test",
        sentence="Alerts reach you. Nothing has happened: somebody tried the addresses.",
        links=(_overview(settings),),
        collection=collection,
    )


def gather(alert: Alert, struck: tuple[tuple[str, str], ...], together: timedelta, settings: Settings) -> Alert:
    """Return one alert for all collections that one cause has struck."""
    minutes = together / timedelta(minutes=1)
    return Alert(
        kind=alert.kind,
        key=alert.key,
        subject=f"{len(struck)} collections",
        headline=f"{alert.headline}, for the same cause",
        sentence=alert.sentence,
        details=(
            *(f"{collection} {night}".strip() for collection, night in struck),
            f"More of them within {minutes:g} minutes are not told one by one: see the overview.",
        ),
        links=(_overview(settings), *alert.links),
        collection=alert.collection,
        night=alert.night,
    )


def _strip_places(reason: str, collection: str) -> str:
    text = re.sub(rf"(?<!\w){re.escape(collection)}(?!\w)", "…", reason) if collection else reason
    return _PLACES.sub("…", text)


def _overview(settings: Settings) -> Link:
    return Link("Overview", f"{settings.ui_url.rstrip('/')}/{_OVERVIEW}")


def _others(reasons: list[str], sentence: str) -> list[str]:
    """Return the reasons that the sentence does not say already."""
    return [reason for reason in reasons if reason.rstrip(".").lower() not in sentence.lower()]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
