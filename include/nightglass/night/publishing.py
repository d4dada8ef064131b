"""Publish an assessed night: report, rows, MLflow run and alert, each safe to do again."""

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from nightglass.alerts import send_alert
from nightglass.engine.results import ASSESSMENT_NAME, REPORT_NAME, SUMMARY_NAME, remove_shards
from nightglass.models import open_registry
from nightglass.night.judged import judge_nights, shown_tonight
from nightglass.night.plan import PlannedNight
from nightglass.night.report import render_report
from nightglass.night.shadow_choice import find_shadow, why_over
from nightglass.records import Assessment, Verb
from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.settings import Settings
from nightglass.storage import Folder
from nightglass.store import Store

_ALERTED_NAME = "alerted.txt"
_TREND_NIGHTS = 30


def publish(night: PlannedNight, assessment: Assessment, alert_urls: Sequence[str]) -> dict[str, object]:
    """Publish the night and return what became of it; ``challenger`` is the version that shadows its champion.

    The rows come before the alert and the MLflow run: what people query is there even where MLflow is down, and a
    retry then only does what is missing.
    """
    settings, out = night.place.settings, night.place.out
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        report_url = write_report(night, assessment, store)
        changed = store.publish_night(assessment, report_url, datetime.now(UTC))
        challenger = _find_answer(night, store)
    _alert_once(night, assessment, alert_urls, report_url)
    _log_to_mlflow(settings, assessment, out)
    remove_shards(out)
    return {
        "decision": str(assessment.decision.verb),
        "sentence": assessment.decision.sentence,
        "reasons": [reason.text for reason in assessment.decision.reasons if reason.verb is assessment.decision.verb],
        "changed": changed,
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
    out = night.place.out
    trend = store.recent_nights(assessment.collection, assessment.night, _TREND_NIGHTS)
    shown = store.recent_top_anomalies(assessment.collection, assessment.night, _TREND_NIGHTS)
    judged = judge_nights(
        [*shown_tonight(assessment), *shown],
        VerdictsInEffect(store.verdicts(assessment.collection)),
        night.place.collection.slices,
    )
    out.write_bytes(REPORT_NAME, render_report(out, trend=trend, judged=judged).encode())
    return f"{out.url}/{REPORT_NAME}"


def _alert_once(night: PlannedNight, assessment: Assessment, alert_urls: Sequence[str], report_url: str) -> None:
    verb = assessment.decision.verb
    if not alert_urls or verb is Verb.OK or str(verb) not in night.place.collection.alerts.about:
        return
    out = night.place.out
    digest = hashlib.sha256(assessment.model_dump_json().encode()).hexdigest()
    if out.exists(_ALERTED_NAME) and out.read_bytes(_ALERTED_NAME).decode() == digest:
        return
    send_alert(
        alert_urls,
        title=f"Nightglass: {assessment.collection} {assessment.night}: {verb}",
        body=f"{assessment.decision.sentence}\nReport: {report_url}\nAirflow: {night.place.settings.ui_url}",
    )
    out.write_bytes(_ALERTED_NAME, digest.encode())


def _log_to_mlflow(settings: Settings, assessment: Assessment, out: Folder) -> None:
    with tempfile.TemporaryDirectory(prefix="nightglass-") as folder:
        files = []
        for name in (ASSESSMENT_NAME, SUMMARY_NAME, REPORT_NAME):
            if out.exists(name):
                path = Path(folder) / name
                path.write_bytes(out.read_bytes(name))
                files.append(path)
        open_registry(settings).log_night(assessment, files)
