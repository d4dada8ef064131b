"""Publish an assessed night: report, rows, MLflow run and alert, each safe to do again."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from nightglass.alerting import audience_of, tell, tell_recovery
from nightglass.alerting.wording import about_decision
from nightglass.collections import Collection
from nightglass.engine.results import ASSESSMENT_NAME, REPORT_NAME, SUMMARY_NAME, remove_shards
from nightglass.models import open_registry
from nightglass.night.cost import read_cost
from nightglass.night.judged import judge_nights, shown_tonight
from nightglass.night.late_writers import check_still_judged
from nightglass.night.plan import PlannedNight
from nightglass.night.removals import forget_what_is_back, read_notes
from nightglass.night.report import render_report
from nightglass.night.shadow_choice import find_shadow, why_over
from nightglass.records import Assessment, Verb
from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.settings import Settings, read_settings
from nightglass.storage import Folder
from nightglass.store import Store

_TREND_NIGHTS = 30


def publish(
    night: PlannedNight, assessment: Assessment, alert_urls: Sequence[str], run_url: str | None = None
) -> dict[str, object]:
    """Publish the night and return what became of it; ``challenger`` is the version that shadows its champion.

    The rows come before the alert and the MLflow run: what people query is there even where MLflow is down, and a
    retry then only does what is missing.
    """
    settings, out = night.place.settings, night.place.out
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        store.upkeep.begin_night(assessment.collection, assessment.night, datetime.now(UTC))
        forget_what_is_back(store, assessment.collection, assessment.night, out)
        report_url = write_report(night, assessment, store)
        check_still_judged(out, assessment)
        changed = store.publish_night(assessment, report_url, datetime.now(UTC))
        if assessment.scored and (cost := read_cost(out, settings)):
            store.costs.publish(assessment.collection, assessment.night, cost)
        challenger = _find_answer(night, store)
    _tell(night, assessment, alert_urls, report_url, run_url)
    log_night_run(settings, assessment, out)
    remove_shards(out)
    collection = night.place.collection
    with night.place.open_store() as store:
        store.upkeep.end_night(assessment.collection, assessment.night)
    urls = (night.plan.images_url, night.plan.folder_url)
    tell_recovery(collection.name, assessment.night, urls, audience_of(collection, alert_urls), settings, run_url)
    return {
        "decision": str(assessment.decision.verb),
        "sentence": assessment.decision.sentence,
        "reasons": [reason.text for reason in assessment.decision.reasons if reason.verb is assessment.decision.verb],
        "changed": changed,
        "scored": assessment.scored,
        "quarantined": assessment.quarantined,
        "anomalous": assessment.anomalous,
        "report": report_url,
        "challenger": challenger,
    }


def _find_answer(night: PlannedNight, store: Store) -> str | None:
    """Return the challenger that is the answer already to what the night may ask for; None where none is.

    A shadow that cannot come to an end any more is none: its retraining was given up, or the file wants none by now.
    """
    if not night.place.collection.retraining.shadow.nights:
        return None
    shadow, seen = find_shadow(night, store)
    return shadow.challenger_version if shadow and not why_over(shadow, seen, night.plan, datetime.now(UTC)) else None


def write_report(night: PlannedNight, assessment: Assessment, store: Store) -> str:
    """Write the report with what is known by now and return its address."""
    return renew_report(night.place.out, night.place.collection, assessment, store)


def renew_report(out: Folder, collection: Collection, assessment: Assessment, store: Store) -> str:
    """Write the report of the night in ``out`` with what is known by now and return its address."""
    trend = store.recent_nights(assessment.collection, assessment.night, _TREND_NIGHTS)
    shown = store.recent_top_anomalies(assessment.collection, assessment.night, _TREND_NIGHTS)
    judged = judge_nights(
        [*shown_tonight(assessment), *shown],
        VerdictsInEffect(store.verdicts(assessment.collection)),
        collection.slices,
    )
    cost, notes = read_cost(out, read_settings()), read_notes(store, assessment.collection, assessment.night)
    report = render_report(out, trend=trend, judged=judged, cost=cost, notes=notes)
    out.write_bytes(REPORT_NAME, report.encode())
    return f"{out.url}/{REPORT_NAME}"


def _tell(
    night: PlannedNight, assessment: Assessment, alert_urls: Sequence[str], report_url: str, run_url: str | None
) -> None:
    collection = night.place.collection
    alert = about_decision(assessment, report_url, run_url)
    if assessment.decision.verb is not Verb.OK and collection.alerts.tells(alert.kind):
        tell(alert, audience_of(collection, alert_urls), night.place.settings)


def log_night_run(settings: Settings, assessment: Assessment, out: Folder) -> None:
    """Log a night as its MLflow run, with its small files; a night that was logged so before changes nothing."""
    with tempfile.TemporaryDirectory(prefix="nightglass-") as folder:
        files = []
        for name in (ASSESSMENT_NAME, SUMMARY_NAME, REPORT_NAME):
            if out.exists(name):
                path = Path(folder) / name
                path.write_bytes(out.read_bytes(name))
                files.append(path)
        open_registry(settings).log_night(assessment, files)
