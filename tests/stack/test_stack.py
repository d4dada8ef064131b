"""The stack as it is started from docker-compose.yaml: healthy, closed to the outside, and a night on two workers."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import psycopg
import pytest
from deploy.make_env import SECRETS
from deploy.native import Stack

from tests.stack.site import COLLECTION, SHARD_SIZE, TASKS, Site

NIGHT = "2026-03-02"
#: Given to people, or names no password: the key's name is in every request to S3.
NO_SECRETS = {"S3_ACCESS_KEY"}


def secret_values(stack: Stack) -> dict[str, str]:
    return {name: stack.secrets[name] for name, _, _ in SECRETS if name not in NO_SECRETS}


@pytest.fixture(scope="module")
def run_id(site: Site) -> str:
    """A run of a good night of six shards that has succeeded."""
    site.draw(NIGHT, range(100, 100 + 6 * SHARD_SIZE))
    run_id = site.trigger(NIGHT)
    assert site.wait(run_id) == ("success", dict.fromkeys(TASKS, "success"))
    return run_id


def ask_processes(stack: Stack, question: Callable[[psutil.Process], Any]) -> Iterator[tuple[str, Any]]:
    """What each process of the stack answers; those that end meanwhile answer nothing."""
    for service in stack.processes.values():
        for process in service.members():
            with suppress(psutil.NoSuchProcess):
                yield service.name, question(process)


def test_every_service_is_up(stack: Stack) -> None:
    stack.check_alive()
    health = httpx.get(f"{stack.url}/api/v2/monitor/health").json()
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    assert {part: health[part]["status"] for part in parts} == dict.fromkeys(parts, "healthy")


def test_nothing_listens_on_other_addresses_than_loopback(stack: Stack) -> None:
    listening = {
        (name, connection.laddr.ip)
        for name, connections in ask_processes(stack, lambda process: process.net_connections("inet"))
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    }
    assert {name for name, _ in listening} >= {"postgres", "redis", "seaweedfs", "mlflow", "api-server", "scheduler"}
    assert {address for _, address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("user", "allowed"),
    [
        ("admin", {"pages", "night", "retraining", "retrain", "connections", "delete"}),
        ("operator", {"pages", "night", "retraining", "retrain"}),
        ("analyst", {"pages", "night"}),
    ],
)
def test_users_may_do_what_their_role_says(site: Site, user: str, allowed: set[str]) -> None:
    client = site.stack.airflow_as(user).client
    dag = f"nightly_{COLLECTION}"
    page = httpx.get(
        f"{site.stack.url}/nightglass/", headers={"Authorization": client.headers["Authorization"]}, timeout=60
    )
    answers = {
        "pages": page,
        "night": client.get(f"/dags/{dag}"),
        "retraining": client.get(f"/dags/retrain_{COLLECTION}"),
        # Of a version that cannot be: who may start it is told that the form is wrong.
        "retrain": client.post(
            f"/dags/retrain_{COLLECTION}/dagRuns", json={"logical_date": None, "conf": {"dry_run": "no"}}
        ),
        "connections": client.get("/connections"),
        "delete": client.delete("/dags/no_such_dag"),
    }
    assert {act for act, answer in answers.items() if answer.status_code not in {401, 403}} == allowed
    assert page.status_code == 200


def test_nobody_comes_in_without_a_password(stack: Stack) -> None:
    wrong = {"username": "admin", "password": stack.secrets["ANALYST_PASSWORD"]}
    assert httpx.post(f"{stack.url}/auth/token", json=wrong, timeout=60).status_code == 401
    for path in ("/api/v2/dags", "/nightglass/"):
        assert httpx.get(f"{stack.url}{path}", timeout=60).status_code in {401, 403}
    url = stack.environment["NIGHTGLASS_DATABASE_URL"]
    for other in (url.replace("nightglass:", "nightglass:x", 1), url.replace("/nightglass", "/airflow")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(other)
    assert httpx.get(f"{stack.s3_endpoint}/nightglass/").status_code == 403


def test_a_night_on_s3_runs_over_both_workers(site: Site, run_id: str) -> None:
    (row,) = site.rows("SELECT * FROM nights WHERE collection = 'panels' AND night = %(night)s", {"night": NIGHT})
    assert (row["scored"], row["quarantined"]) == (6 * SHARD_SIZE, 0)
    assert row["images_url"] == f"s3://nightglass/images/{COLLECTION}/{NIGHT}"
    assert site.file_system().exists(f"nightglass/nights/{COLLECTION}/{NIGHT}/scores.parquet")
    shards = [task for task in site.task_instances(run_id) if task["task_id"] == "score_shard"]
    assert len(shards) == 6
    assert {(task["queue"], task["pool"]) for task in shards} == {("cpu", "nightglass_scoring")}
    assert executed_by(site.stack) == {"worker-1", "worker-2"}


def executed_by(stack: Stack) -> set[str]:
    """The workers whose logs tell of a task."""
    return {
        name
        for name, process in stack.processes.items()
        if name.startswith("worker") and "score_shard" in process.launch.log.read_text()
    }


def test_the_model_is_in_mlflow_and_its_files_on_s3(site: Site) -> None:
    address = f"{site.stack.environment['NIGHTGLASS_TRACKING_URL']}/api/2.0/mlflow/registered-models/alias"
    found = httpx.get(address, params={"name": f"nightglass-{COLLECTION}", "alias": "champion"}, timeout=60).json()
    assert found["model_version"]["version"] == "1"
    assert [path for path in site.file_system().find("mlflow") if "detector" in path or "model" in path]


def test_a_task_log_is_read_from_the_volume(site: Site, run_id: str) -> None:
    path = f"/dags/nightly_{COLLECTION}/dagRuns/{quote(run_id)}/taskInstances/score_shard/logs/1?map_index=0"
    answer = site.stack.airflow.client.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert len(answer.json()["content"]) > 3
    assert "Could not read" not in answer.text


def test_init_again_changes_nothing(site: Site, run_id: str) -> None:
    # Somebody has been at work since the first start.
    site.stack.airflow.request(
        "PATCH", "/pools/nightglass_scoring", {"name": "nightglass_scoring", "slots": 3, "include_deferred": False}
    )
    before = dump(site.stack)

    site.stack.restart("airflow-init")

    after = dump(site.stack)
    assert {name: after[name] ^ before[name] for name in before} == {name: set() for name in before}
    assert site.stack.airflow.request("GET", "/pools/nightglass_scoring")["slots"] == 3
    assert site.stack.airflow_as("analyst").request("GET", "/dags")["total_entries"] == 1


def dump(stack: Stack) -> dict[str, set[str]]:
    """The results and MLflow's databases as lines of SQL, and of Airflow's the tables of users and pools."""
    accounts = ("ab_user", "ab_role", "ab_permission_view_role", "ab_user_role", "slot_pool", "alembic_version")
    tables = [option for name in accounts for option in ("--table", name)]
    return {
        name: set(_pg_dump(stack, name, options))
        for name, options in {"nightglass": [], "mlflow": [], "airflow": tables}.items()
    }


def _pg_dump(stack: Stack, name: str, options: list[str]) -> Iterator[str]:
    process = stack.processes["postgres"]
    environment = dict(process.launch.environment) | {"PGPASSWORD": stack.secrets["POSTGRES_PASSWORD"]}
    command = ["pg_dump", "--host", "127.0.0.1", "--username", "postgres", *options, name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        # Each dump locks itself with a word of its own, and a sign-in leaves its time.
        if not line.startswith(("\\restrict", "\\unrestrict")):
            yield line


def test_no_secret_shows_in_a_command_line_or_a_log(site: Site, run_id: str) -> None:
    secrets = secret_values(site.stack)
    lines = [" ".join(words) for _, words in ask_processes(site.stack, lambda process: process.cmdline())]
    assert len(lines) > 15
    assert [name for name, value in secrets.items() if any(value in line for line in lines)] == []
    files = [path for folder in ("logs", "volumes/airflow-logs") for path in all_files(site.stack.home / folder)]
    assert len(files) > 20
    shown = {
        (name, str(path)) for path in files for name, value in secrets.items() if value.encode() in path.read_bytes()
    }
    assert shown == set()


def all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
