"""A backfill through Airflow's own scheduler: another version scores two nights again, beside what was decided."""

import json
from pathlib import Path

import pytest

from nightglass.settings import Settings
from nightglass.store import Store
from tests.conftest import write_panels
from tests.e2e.retraining_loop import COLLECTION, draw_night

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
NAME, NIGHTS = "again", ["2026-03-02", "2026-03-03"]
SECONDS = 300


@pytest.fixture(scope="module")
def settings(site, airflow, nightglass) -> Settings:
    """A collection with two versions and two nights that the first one decided."""
    file = site.collections / f"{NAME}.yaml"
    text = COLLECTION.format(images=site.images, name=NAME, hours=1, promotion="approval", shadow_nights=0)
    file.write_text(text.replace("  promotion:", "  automatic: false\n  promotion:"))
    environment = {"NIGHTGLASS_HOME": str(site.home)}
    good = write_panels(site.images / NAME / "good", range(60))
    for version in ("1", "2"):
        out = ("--out", site.home / f"detector-{NAME}-{version}", "--collection", file, "--register")
        fitted = nightglass("fit", "--images", good, *out, env=environment)
        assert fitted.returncode == 0, fitted.stderr
        draw_night(good / "new", first=900)
    airflow.wait_for_dag(f"nightly_{NAME}")
    airflow.wait_for_dag(f"backfill_{NAME}")
    return Settings(home=site.home).resolved()


def test_nights_are_scored_again_from_the_form(site, airflow, run_night, settings):
    for night in NIGHTS:
        draw_night(site.images / NAME / night)
        assert run_night(NAME, night)[0] == "success"
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        before = store.list_nights(NAME)
    dag = f"backfill_{NAME}"
    form = {"since": NIGHTS[0], "until": NIGHTS[-1], "version": "2", "parallel": 2}
    run = airflow.trigger(dag, form)
    assert airflow.wait_for_run(dag, run, seconds=SECONDS) == "success", airflow.task_states(dag, run)

    with Store.connect(settings.database_url, settings.sql_dir) as store:
        assert store.list_nights(NAME) == before
        rows = [row for night in NIGHTS for row in store.rescored.of_night(NAME, night)]
        costs = [store.costs.find(NAME, night) for night in NIGHTS]
    assert [(row.night, row.champion_version, row.model_version) for row in rows] == [
        (night, "1", "2") for night in NIGHTS
    ]
    assert all(row.scored and row.rank_correlation is not None for row in rows)
    assert all(cost and cost.compute_seconds > 0 for cost in costs)
    for night in NIGHTS:
        summary = json.loads(Path(site.home, "nights", NAME, night, "rescored/2/summary.json").read_text())
        assert summary["scored"] > 0
    mapped = airflow.request("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
    assert sorted(task["map_index"] for task in mapped if task["task_id"] == "score_nights") == [0, 1]

    again = airflow.trigger(dag, form | {"parallel": 1})
    assert airflow.wait_for_run(dag, again, seconds=SECONDS) == "success"
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        assert [row for night in NIGHTS for row in store.rescored.of_night(NAME, night)] == rows


def test_a_wrong_version_ends_at_once_and_says_so(airflow, settings):
    dag = f"backfill_{NAME}"
    run = airflow.trigger(dag, {"since": NIGHTS[0], "until": NIGHTS[-1], "version": "99", "parallel": 1})
    assert airflow.wait_for_run(dag, run, seconds=SECONDS) == "failed"
    assert airflow.task_states(dag, run)["plan_nights"] == "failed"
