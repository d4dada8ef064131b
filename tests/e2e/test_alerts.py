"""What people are told by a real scheduler: a deadline that passes, and a failure that comes again."""

import time
from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.e2e

NIGHT = "2026-03-02"
DUE_SECONDS = 14.4  # as the collection's file has it


def start(airflow, dag_id: str, **conf: str) -> str:
    """Start a run that is due now, as the schedule does; one by hand is not waited for by any deadline."""
    body = {"conf": conf, "logical_date": datetime.now(UTC).isoformat()}
    return str(airflow.request("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])


def wait_for_titles(webhook, word: str, seconds: float = 90) -> list[str]:
    deadline = time.monotonic() + seconds
    while not (titles := webhook.about(word)):
        assert time.monotonic() < deadline, [message["title"] for message in webhook.messages]
        time.sleep(0.5)
    return titles


def clear(airflow, dag_id: str, run_id: str) -> None:
    body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
    airflow.request("POST", f"/dags/{dag_id}/clearTaskInstances", body)


def test_a_night_that_is_not_published_in_time_is_told_once(site, airflow, webhook):
    dag_id = "nightly_due"
    folder = site.draw("due", NIGHT, range(700, 725))
    run_id = start(airflow, dag_id, night=NIGHT)

    (title,) = wait_for_titles(webhook, f"due {NIGHT}")
    assert title == f"Nightglass: due {NIGHT}: not published in time"
    (message,) = [message["message"] for message in webhook.messages if message["title"] == title]
    assert "is not published; its run is still running." in message
    assert f"{airflow.url}/dags/{dag_id}/runs/{run_id[:8]}" in message

    # It comes late, and once more in time: there is nothing more to tell.
    (folder / "complete.txt").touch()
    assert airflow.wait_for_run(dag_id, run_id, seconds=240) == "success"
    again = start(airflow, dag_id, night=NIGHT)
    due = time.monotonic() + DUE_SECONDS
    assert airflow.wait_for_run(dag_id, again, seconds=240) == "success"
    time.sleep(max(0, due + 3 - time.monotonic()))
    assert webhook.about(f"due {NIGHT}") == [title]


def test_a_failure_that_comes_again_is_told_once(site, airflow, webhook):
    dag_id, night = "nightly_gone", "2026-03-05"
    site.draw("gone", night, range(3))
    run_id = airflow.trigger(dag_id, {"night": night})
    assert airflow.wait_for_run(dag_id, run_id, seconds=120) == "failed"
    (title,) = webhook.about(f"gone {night}")
    assert title == f"Nightglass: gone {night}: list_images failed"

    clear(airflow, dag_id, run_id)
    deadline = time.monotonic() + 60
    while airflow.run_state(dag_id, run_id) == "failed":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert airflow.wait_for_run(dag_id, run_id, seconds=120) == "failed"
    other = airflow.trigger(dag_id, {"night": night})
    assert airflow.wait_for_run(dag_id, other, seconds=120) == "failed"

    assert webhook.about(f"gone {night}") == [title]
