"""Alerts on the stack: addresses in an encrypted connection, and a missed deadline."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deploy.native import Stack

from tests.stack.site import Site

pytestmark = pytest.mark.e2e

NIGHT = "2026-03-02"
FILE = """
images: {folder}/{{night}}
schedule: null
model: nightglass-panels
ready: {{marker: complete.txt, poll_seconds: 10}}
alerts: {{connection: people, publish_hours: 0.006}}
"""


@pytest.fixture(scope="module")
def due(site: Site, webhook: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with a collection whose nights are due seconds after their runs, and whose folders stay incomplete."""
    stack = site.stack
    connection = {"connection_id": "people", "conn_type": "generic", "extra": json.dumps({"urls": [webhook.url]})}
    stack.airflow.request("POST", "/connections", connection)
    file = Path(stack.environment["NIGHTGLASS_COLLECTIONS_DIR"]) / "due.yaml"
    file.write_text(FILE.format(folder=tmp_path_factory.mktemp("due")))
    stack.airflow.wait_for_dag("nightly_due", 180)
    yield stack
    file.unlink()  # other tests count the stack's collections


def test_a_missed_deadline_is_told_once(due: Stack, site: Site, webhook: Any) -> None:
    body = {"conf": {"night": NIGHT}, "logical_date": datetime.now(UTC).isoformat()}
    due.airflow.request("POST", "/dags/nightly_due/dagRuns", body)

    deadline = time.monotonic() + 120
    while not webhook.about(f"due {NIGHT}"):
        assert time.monotonic() < deadline, webhook.messages
        time.sleep(0.5)

    # Both the worker and the triggerer were asked.
    time.sleep(10)
    assert webhook.about(f"due {NIGHT}") == [f"Nightglass: due {NIGHT}: not published in time"]
    (row,) = site.rows("SELECT kind, audience, told, told_at FROM alerts WHERE collection = 'due'")
    assert (row["kind"], row["audience"], row["told"]) == ("deadline", "people", 1)


def test_the_people_of_a_collection_can_be_tried(due: Stack, webhook: Any) -> None:
    due.airflow.wait_for_dag("try_alerts", 180)
    deadline = time.monotonic() + 120
    while "due" not in due.airflow.request("GET", "/dags/try_alerts/details")["params"]["collection"]["schema"]["enum"]:
        assert time.monotonic() < deadline, "expected the form to have the new collection"
        time.sleep(1)
    run_id = due.airflow.trigger("try_alerts", {"collection": "due"})

    assert due.airflow.wait_for_run("try_alerts", run_id, 120) == "success"
    assert webhook.about("due: a test") == ["Nightglass: due: a test"]
