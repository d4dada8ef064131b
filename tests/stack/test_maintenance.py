"""The maintenance DAG backs a running stack up; an empty stack goes on where that one stood."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deploy.native import Stack, running_stack

from nightglass.night import flow
from tests.stack.site import COLLECTION, Site

DAG = "nightglass_maintenance"
#: Before the nights of the other tests, some of which ask for the newest.
BEFORE, AFTER = "2026-02-02", "2026-02-03"
_PAGES = """
import sys
from fastapi.testclient import TestClient
from nightglass.pages.app import create_app
from tests.unit.pages.conftest import People

people = People(readers={"ana": {sys.argv[1]}}, writers={})
client = TestClient(create_app(people.authenticate, lambda _: None), headers={"X-Test-User": "ana"})
for path in sys.argv[2:]:
    answer = client.get(path)
    print(answer.status_code, len(answer.text))
"""


def tell(stack: Stack, *words: object) -> dict[str, Any]:
    """What a command says in the environment of a stack."""
    code = "from nightglass.cli import main; main()"
    done = run_python(stack, code, *words, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_python(stack: Stack, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | stack.environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_backed_up_stack_is_restored_into_an_empty_one(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = site.stack
    site.draw(BEFORE, range(4000, 4040), defects=2)
    state, tasks = site.run_night(BEFORE)
    assert state == "success", tasks
    old.airflow.wait_for_dag(DAG)
    run_id = old.airflow.trigger(DAG, {})
    assert old.airflow.wait_for_run(DAG, run_id, 300) == "success"
    states = old.airflow.task_states(DAG, run_id)
    assert states == dict.fromkeys(("find_collections", "tidy_collection", "compact_databases", "back_up"), "success")
    backups = tmp_path / "backups"
    site.file_system().get("nightglass/backups", str(backups), recursive=True)
    history = tell(old, "models", "history", "--collection", COLLECTION)
    assert history["history"]

    collections = old.environment["NIGHTGLASS_COLLECTIONS_DIR"]
    environment = {"NIGHTGLASS_COLLECTIONS_DIR": collections}
    with running_stack(tmp_path / "empty", services={"mlflow"}, environment=environment) as new:
        restored = tell(new, "restore", "--from", backups)
        assert (restored["new_results"], restored["new_tracking"]) == (True, True)
        assert restored["new_files"] == restored["files"] > 0
        assert tell(new, "models", "history", "--collection", COLLECTION) == history
        assert tell(new, "restore", "--from", backups)["new_files"] == 0

        after = Site(new, tmp_path / "drawn")
        after.draw(AFTER, range(5000, 5040), defects=2)
        for name, value in new.environment.items():
            monkeypatch.setenv(name, value)
        plan = flow.list_night(f"{collections}/{COLLECTION}.yaml", AFTER)
        for shard in flow.validate_night(plan):
            flow.score_night_shard(plan, shard)
        flow.assess_night(plan)
        assert flow.publish_night(plan)["changed"] is True
        nights = {row["night"] for row in after.rows("SELECT night FROM nights WHERE collection = 'panels'")}
        assert nights >= {BEFORE, AFTER}
        paths = ["/", f"/collections/{COLLECTION}/models", f"/collections/{COLLECTION}/nights/{AFTER}"]
        answers = run_python(new, _PAGES, COLLECTION, *paths).stdout.split()[::2]
        assert answers == ["200", "200", "200"]
