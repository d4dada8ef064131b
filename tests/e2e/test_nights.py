"""Nights from the trigger to the report, through Airflow's own scheduler, API server and DAG processor."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.e2e

TASKS = {"list_images", "validate_images", "score_shard", "assess_night", "publish_night"}


def rows_of(site, table: str = "nights", **where: str) -> list[dict]:
    with sqlite3.connect(site.home / "nightglass.db") as database:
        database.row_factory = sqlite3.Row
        condition = " AND ".join(f"{column} = :{column}" for column in where) or "1"
        return [dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {condition}", where)]


def whole_database(site) -> str:
    with sqlite3.connect(site.home / "nightglass.db") as database:
        return "\n".join(database.iterdump())


def retrain_requests(airflow, collection: str) -> list[dict]:
    events = airflow.request("GET", "/assets/events?limit=100")["asset_events"]
    return [event["extra"] for event in events if event["extra"].get("collection") == collection]


@pytest.fixture(scope="module")
def quiet_night(site, run_night) -> str:
    """A night of good panels that has been scored."""
    night = "2026-03-02"
    site.draw("panels", night, range(100, 140))
    state, tasks = run_night("panels", night)
    assert state == "success"
    assert tasks == dict.fromkeys(TASKS, "success")
    return night


def test_a_quiet_night_leaves_rows_scores_and_a_report(site, airflow, quiet_night):
    (row,) = rows_of(site, collection="panels", night=quiet_night)
    folder = site.home / "nights" / "panels" / quiet_night

    assert (row["scored"], row["quarantined"]) == (40, 0)
    assert row["decision"] in {"ok", "watch"}
    scores = pq.read_table(folder / "scores.parquet")
    assert sorted(scores["path"].to_pylist()) == [f"good-{seed:05d}.png" for seed in range(100, 140)]
    assert sum(scores["is_anomalous"].to_pylist()) == row["anomalous"]
    assert "<html" in (folder / "report.html").read_text()
    assert quiet_night not in [request["night"] for request in retrain_requests(airflow, "panels")]


def test_a_second_run_of_a_night_changes_no_row(site, run_night, quiet_night):
    before = whole_database(site)
    scores = site.home / "nights" / "panels" / quiet_night / "scores.parquet"
    written = scores.read_bytes()

    state, tasks = run_night("panels", quiet_night)

    assert state == "success"
    assert tasks["score_shard"] == "skipped"
    assert tasks["publish_night"] == "success"
    assert whole_database(site) == before
    assert scores.read_bytes() == written


def test_a_bad_night_asks_for_a_new_model(site, airflow, webhook, run_night):
    night = "2026-03-03"
    site.draw("panels", night, range(200, 240), defects=20)

    state, _ = run_night("panels", night)

    assert state == "success"
    (row,) = rows_of(site, collection="panels", night=night)
    assert row["decision"] == "retrain"
    (request,) = [request for request in retrain_requests(airflow, "panels") if request["night"] == night]
    assert request["reasons"]

    assert run_night("panels", night)[0] == "success"

    # The same night again is no news: neither for the retraining nor for people.
    assert [request["night"] for request in retrain_requests(airflow, "panels")].count(night) == 1
    assert len(webhook.about(f"panels {night}")) == 1


def test_a_night_with_a_critical_fault_is_held_and_its_run_fails(site, airflow, webhook, run_night):
    night = "2026-03-04"
    site.draw("panels", night, range(300, 303))

    state, tasks = run_night("panels", night)

    assert state == "failed"
    assert tasks["validate_images"] == "failed"
    assert tasks["publish_night"] == "upstream_failed"
    (row,) = rows_of(site, collection="panels", night=night)
    assert (row["decision"], row["scored"]) == ("hold", 0)
    assert (site.home / "nights" / "panels" / night / "report.html").exists()
    (title,) = webhook.about(f"panels {night}")
    assert "hold" in title
    assert night not in [request["night"] for request in retrain_requests(airflow, "panels")]


def test_a_night_on_s3_with_the_credentials_of_an_airflow_connection(site, s3_server, bucket, run_night, tmp_path):
    night = "2026-03-02"
    folder = site.draw("on-s3", night, range(400, 430))
    s3_server.file_system().put(str(folder), f"{bucket}/{night}", recursive=True)

    state, tasks = run_night("bucket", night)

    assert (state, tasks) == ("success", dict.fromkeys(TASKS, "success"))
    (row,) = rows_of(site, collection="bucket", night=night)
    assert row["scored"] == 30
    assert row["images_url"] == f"s3://{bucket}/{night}"
    assert s3_server.secret not in whole_database(site)


def test_a_folder_that_is_still_being_written_is_waited_for(site, airflow):
    night, dag_id = "2026-03-02", "nightly_arriving"
    folder = site.draw("arriving", night, range(500, 510))

    run_id = airflow.trigger(dag_id, {"night": night})
    deadline = time.monotonic() + 60
    while airflow.task_states(dag_id, run_id).get("list_images") != "up_for_reschedule":
        assert time.monotonic() < deadline, airflow.task_states(dag_id, run_id)
        time.sleep(0.3)
    site.draw("arriving", night, range(510, 525))
    (folder / "complete.txt").touch()

    assert airflow.wait_for_run(dag_id, run_id, seconds=240) == "success"
    (row,) = rows_of(site, collection="arriving", night=night)
    assert row["scored"] == 25


def test_a_folder_that_never_comes_fails_once_and_people_are_told(airflow, webhook):
    night, dag_id = "2026-03-02", "nightly_late"
    run_id = airflow.trigger(dag_id, {"night": night})

    assert airflow.wait_for_run(dag_id, run_id, seconds=120) == "failed"
    (task,) = [
        entry
        for entry in airflow.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        if entry["task_id"] == "list_images"
    ]
    assert (task["state"], task["try_number"]) == ("failed", 1)
    (message,) = [message for message in webhook.messages if f"late {night}" in message["title"]]
    assert "expected a complete folder within" in message["message"]
    assert "complete.txt" in message["message"]


def test_a_broken_collection_is_red_and_people_are_told(airflow, webhook):
    run_id = airflow.trigger("nightly_wrong", {})

    assert airflow.wait_for_run("nightly_wrong", run_id, seconds=60) == "failed"
    # Its schedule has another run of its own, and people hear of it once.
    (message,) = [message for message in webhook.messages if "nightly_wrong" in message["title"]]
    assert "did you mean 'images'?" in message["message"]


def test_a_request_waits_until_another_has_written(airflow):
    with sqlite3.connect(airflow.home / "airflow.db", isolation_level=None) as held, ThreadPoolExecutor() as elsewhere:
        held.execute("BEGIN IMMEDIATE")
        answer = elsewhere.submit(airflow.request, "PATCH", "/dags/nightly_panels", {"is_paused": False})
        time.sleep(8)  # SQLite's own patience, with which Python opens a database, is 5 s
        held.execute("ROLLBACK")
        assert answer.result()["is_paused"] is False
