"""The tab of a DAG run: from a run of Airflow to the night that it scored."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from nightglass.collections import default_collection
from nightglass.pages.app import create_app
from nightglass.pages.runs import AirflowRun, night_of_run
from tests.unit.pages.conftest import People
from tests.unit.pages.published import publish

RUN = "scheduled__2026-07-25T02:00:00+00:00"


def run(run_id=RUN, state="success", moment=datetime(2026, 7, 25, 2, tzinfo=UTC), night=None):
    return AirflowRun(run_id, state, moment, night, f"/dags/nightly_cells/runs/{quote(run_id, safe='')}")


@dataclass
class Airflow:
    """Knows some runs of `cells`, newest first."""

    runs: list[AirflowRun]

    def find(self, collection, run_id):
        return next((each for each in self.recent(collection, 99) if each.run_id == run_id), None)

    def recent(self, collection, limit):
        return self.runs[:limit] if collection == "cells" else []


@pytest.fixture
def airflow():
    """An Airflow with the run of one night."""
    return Airflow([run()])


@pytest.fixture
def tab(home, store, airflow):
    """Ana's browser, on pages that know Airflow's runs."""
    headers = {"Accept": "text/html", "X-Test-User": "ana"}
    return TestClient(create_app(People().authenticate, lambda _: None, airflow_runs=airflow), headers=headers)


def path(dag_id="nightly_cells", run_id=RUN):
    return f"/dags/{dag_id}/runs/{quote(run_id, safe='')}"


@pytest.mark.parametrize(
    ("changes", "moment", "night", "expected"),
    [
        ({}, datetime(2026, 7, 25, 2, tzinfo=UTC), None, "2026-07-24"),
        ({}, datetime(2026, 7, 25, 2, tzinfo=UTC), "2026-03-01", "2026-03-01"),
        ({"night_lag_days": 0}, datetime(2026, 7, 25, 2, tzinfo=UTC), None, "2026-07-25"),
        ({"timezone": "America/Los_Angeles"}, datetime(2026, 7, 25, 2, tzinfo=UTC), None, "2026-07-23"),
    ],
)
def test_the_night_of_a_run_is_the_forms_or_the_day_before(changes, moment, night, expected):
    collection = default_collection("cells").model_copy(update=changes)
    assert night_of_run(collection, run(moment=moment, night=night)) == expected


def test_the_tab_of_a_run_shows_its_night(home, store, tab):
    publish(home, store, lambda rank: f"{rank}.png")
    answer = tab.get(path())
    assert answer.url.path == "/collections/cells/nights/2026-07-24"
    assert "The rate has doubled." in answer.text
    assert f'href="/dags/nightly_cells/runs/{quote(RUN, safe="")}"' in answer.text  # the way back to Airflow


@pytest.mark.parametrize(
    ("state", "told"), [("running", "The run goes on"), ("failed", "The run failed before it"), ("success", "success")]
)
def test_a_night_that_is_not_published_is_explained(tab, airflow, state, told):
    airflow.runs = [run(state=state)]
    answer = tab.get(path())
    assert answer.status_code == 404
    assert "The night 2026-07-24 is not published" in answer.text
    assert told in answer.text


def test_runs_of_other_dags_and_of_nobody_are_told_clearly(tab):
    other = tab.get(path("retrain_cells"))
    assert (other.status_code, "This DAG scores no night" in other.text) == (404, True)
    assert "expected a run of nightly_cells" in tab.get(path(run_id="manual__1")).text
    assert tab.get(path("nightly_")).status_code in {403, 404}
    tab.headers["X-Test-User"] = "eve"
    assert tab.get(path()).status_code == 403


def test_a_forms_night_that_is_no_date_is_told_and_stays_text(tab, airflow):
    airflow.runs = [run(night="<script>alert(1)</script>")]
    text = tab.get(path()).text
    assert "The night of this run is no date" in text
    assert "<script>alert" not in text


def test_without_an_airflow_no_run_is_known(ana):
    assert ana.get(path()).status_code == 404


def test_the_overview_tells_failed_nights_first(home, store, tab, airflow):
    publish(home, store, lambda rank: f"{rank}.png")
    now = datetime.now(UTC)
    airflow.runs = [run("c", "running", now), run("b", "failed", now), run("a", "failed", now, night="2026-07-24")]
    assert " failed. The log" not in tab.get("/").text  # it runs again; the other is published
    airflow.runs = airflow.runs[1:]
    text = tab.get("/").text
    assert " failed. The log of the red task of" in text


def test_a_failed_rerun_of_the_oldest_night_published_something(home, store, tab, airflow):
    now = datetime.now(UTC)
    days = [(now.date() - timedelta(days=back)).isoformat() for back in range(31)]
    for day in days:
        publish(home, store, lambda rank: f"{rank}.png", count=0, night=day)
    airflow.runs = [run("a", "failed", now, night=days[-1])]
    assert " failed. The log" not in tab.get("/").text
