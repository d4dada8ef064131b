"""Numbers of the last night: hostile names, nights behind, the last success, times, and the model that scored it."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from nightglass.engine.results import SUMMARY_NAME
from nightglass.pages.app import create_app
from nightglass.pages.runs import AirflowRun
from nightglass.store import ChampionChange
from tests.unit.night.test_report import make_assessment
from tests.unit.pages.conftest import People
from tests.unit.pages.test_metrics import TOKEN, of, read

NOW = datetime.now(UTC)
TODAY = NOW.date()
HOSTILE = 'a"b\\c\n} 1\nnightglass_up{x="<b>{{y}}'


def publish(store, night, *, scored=1000, at=NOW, **changes):
    rate = {"scored": scored, "anomalous": min(35, scored), **changes}
    with store:
        store.publish_night(make_assessment([], night=night, **rate), "report.html", at)


@pytest.fixture
def folder(home):
    folder = home / "nights/cells/2026-07-24"
    folder.mkdir(parents=True)
    return folder


def test_hostile_names_are_values_of_labels_and_nothing_else(ana, store, folder, home):
    publish(store, "2026-07-24", model_name=HOSTILE, model_version="8")
    with store:
        change = ChampionChange(collection="cells", event="promoted", version="8", by=HOSTILE, reason=HOSTILE)
        store.change_champion("nightglass-cells", lambda _: change, NOW)
    with sqlite3.connect(home / "nightglass.db") as database:
        database.execute("UPDATE statistic_drift SET statistic = ? WHERE statistic = 'brightness'", (HOSTILE,))
    samples = read(ana)
    assert of(samples, "night_model_info", model=HOSTILE, version="8") == 1
    assert of(samples, "night_statistic_psi", statistic=HOSTILE) is not None
    assert not [name for name, *_ in samples if name in {"nightglass_up", "nightglass_up_info"}]


def test_a_hostile_file_name_is_a_value_too(client, store, settings, monkeypatch):
    monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", TOKEN)
    name = HOSTILE.replace("/", "")
    (settings.collections_dir / f"{name}.yaml").write_text("images: 7")
    samples = read(client, Authorization=f"Bearer {TOKEN}")
    assert of(samples, "collection_readable", name) == 0
    assert of(samples, "collection_readable") == 1
    assert not [name for name, *_ in samples if name == "nightglass_up"]


def test_no_label_but_these_few(ana, store, folder):
    (folder / SUMMARY_NAME).write_text(json.dumps(SUMMARY))
    publish(store, "2026-07-24")
    labels = {
        label
        for family in text_string_to_metric_families(ana.get("/metrics").text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"collection", "decision", "stage", "quantile", "statistic", "model", "version"}


SUMMARY = {
    "scored": 10, "workers": 1, "images_per_second": 2.5, "stage_seconds": {"decode": 4.0},
    "image_seconds": {"p50": 0.25, "p95": 0.75},
}  # fmt: skip


def test_seconds_of_an_image(ana, store, folder):
    publish(store, "2026-07-24")
    (folder / SUMMARY_NAME).write_text(json.dumps(SUMMARY))
    samples = read(ana)
    assert of(samples, "night_image_seconds", quantile="0.5") == 0.25
    assert of(samples, "night_image_seconds", quantile="0.95") == 0.75
    (folder / SUMMARY_NAME).write_text(json.dumps({**SUMMARY, "image_seconds": None}))
    assert of(read(ana), "night_image_seconds", quantile="0.5") is None


def test_what_was_usual_is_told_beside_what_was_measured(ana, store, folder):
    publish(store, "2026-07-24")
    samples = read(ana)
    assert of(samples, "night_baseline_anomaly_rate") == 0.012
    assert of(samples, "night_drift_psi") == 0.41
    assert of(samples, "night_drift_baseline_psi") is not None
    assert of(samples, "night_statistic_psi", statistic="brightness") == 0.41


def test_a_night_that_validation_stopped_is_no_success(ana, store, home):
    first = NOW - timedelta(days=3)
    for night, scored, at in (("2026-07-22", 1000, first), ("2026-07-23", 0, NOW)):
        (home / "nights/cells" / night).mkdir(parents=True)
        publish(store, night, scored=scored, at=at)
    samples = read(ana)
    since = (datetime.now(UTC) - NOW).total_seconds()
    assert of(samples, "last_success_timestamp_seconds") == pytest.approx(first.timestamp(), abs=1)
    assert of(samples, "night_age_seconds") == pytest.approx(since, abs=600)


def test_without_a_success_there_is_none(ana, store, home):
    (home / "nights/cells/2026-07-22").mkdir(parents=True)
    publish(store, "2026-07-22", scored=0)
    assert of(read(ana), "last_success_timestamp_seconds") is None


class Known:
    """Runs as a test names them: state by days ago."""

    def __init__(self, **states: int) -> None:
        self._runs = [(state.rstrip("_"), TODAY - timedelta(days=ago)) for state, ago in states.items()]

    def find(self, collection, run_id):  # noqa: ARG002
        return None

    def recent(self, collection, limit):  # noqa: ARG002
        return [AirflowRun(state, state, NOW, day.isoformat(), "/") for state, day in self._runs]


@pytest.mark.parametrize(
    ("published", "runs", "behind", "waiting"),
    [
        ([1], Known(), 0, 0),
        ([4], Known(failed=2, failed_=3), 2, 0),
        # A failed night before the last published one is failed, but nobody is behind for it.
        ([1], Known(failed=3), 0, 0),
        ([], Known(failed=1), 1, 0),
        ([2], Known(queued=0, running=1, success=2), 0, 2),
    ],
)
def test_nights_behind_and_runs_that_wait(home, store, published, runs, behind, waiting):
    for ago in published:
        night = (TODAY - timedelta(days=ago)).isoformat()
        (home / "nights/cells" / night).mkdir(parents=True)
        publish(store, night)
    app = create_app(People().authenticate, lambda _: None, airflow_runs=runs)
    samples = read(TestClient(app, headers={"X-Test-User": "olu"}))
    assert (of(samples, "nights_behind"), of(samples, "open_runs")) == (behind, waiting)


def test_missing_nights_count_as_behind(ana, store, settings, home):
    file = settings.collections_dir / "cells.yaml"
    file.write_text(file.read_text().replace("schedule: null", "schedule: '0 2 * * *'\ncatchup: true"))
    night = (TODAY - timedelta(days=6)).isoformat()
    (home / "nights/cells" / night).mkdir(parents=True)
    publish(store, night)
    samples = read(ana)
    assert of(samples, "nights_behind") == of(samples, "missing_nights") >= 3
