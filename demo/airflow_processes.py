"""Airflow on this machine: start its processes, talk to its REST API, stop every one of them again.

The demo, `make up` and the end-to-end tests share it. SQLite, LocalExecutor and one user with a generated
password: for looking and testing, not for production.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from nightglass.settings import read_settings

REPOSITORY = Path(__file__).resolve().parents[1]
COMPONENTS: dict[str, list[str | Path]] = {
    "api-server": ["-m", "airflow", "api-server"],
    # The API server reads the logs from the disk; a server for them would listen on every interface.
    # -P: the demo's files are no modules of Airflow's.
    "scheduler": ["-P", REPOSITORY / "demo" / "scheduler.py", "--skip-serve-logs"],
    "dag-processor": ["-m", "airflow", "dag-processor"],
}
USER = "admin"


class AirflowError(Exception):
    """Airflow did not do what was asked of it; the text is one clear line."""


@dataclass
class Airflow:
    """A running Airflow; ``url`` is its address on this machine, ``home`` its AIRFLOW_HOME."""

    home: Path
    url: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)
    client: httpx.Client = field(default_factory=httpx.Client, repr=False)

    @property
    def password(self) -> str:
        """The password that Airflow made for its user ``admin``."""
        return self.password_of(USER)

    def password_of(self, user: str) -> str:
        """Return the password that Airflow made for a user."""
        file = self.home / "simple_auth_manager_passwords.json.generated"
        return str(json.loads(file.read_text(encoding="utf-8"))[user])

    def log_in(self) -> None:
        """Ask for a token and send it with every later request."""
        answer = httpx.post(f"{self.url}/auth/token", json={"username": USER, "password": self.password})
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self.client = httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one request to the REST API and return its JSON.

        Raises:
            AirflowError: Airflow answered with an error.
        """
        answer = self.client.request(method, path, json=body)
        if answer.is_error:
            raise AirflowError(f"{method} {path}: expected success, got {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else {}

    def make_pool(self, name: str, slots: int) -> None:
        """Make a pool; one of that name that exists is left as it is."""
        body = {"name": name, "slots": slots}
        answer = self.client.post("/pools", json=body)
        if answer.status_code != httpx.codes.CONFLICT and answer.is_error:
            raise AirflowError(f"pool {name}: expected to be made, got {answer.status_code} {answer.text[:300]}")

    def wait_for_dag(self, dag_id: str, seconds: float = 90) -> None:
        """Wait until the DAG has been found and can be triggered, then switch it on."""
        deadline = time.monotonic() + seconds
        while self.client.get(f"/dags/{dag_id}").status_code != httpx.codes.OK:
            self.check_alive()
            if time.monotonic() > deadline:
                errors = self.request("GET", "/importErrors")["import_errors"]
                found = errors[0]["stack_trace"].strip().splitlines()[-1] if errors else "nothing"
                raise AirflowError(f"expected DAG {dag_id} within {seconds:g} s, got {found}")
            time.sleep(0.5)
        self.request("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run with the given values of its form; return the run's id."""
        body = {"conf": dict(conf), "logical_date": None}
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: queued, running, success or failed."""
        self.check_alive()
        return str(self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_run(
        self, dag_id: str, run_id: str, seconds: float, on_poll: Callable[[dict[str, str | None]], None] | None = None
    ) -> str:
        """Wait until a run has ended and return its state: success or failed.

        Args:
            dag_id: Its DAG.
            run_id: The run.
            seconds: How long to wait.
            on_poll: Is told the states of the run's tasks, again and again and at the end.

        Raises:
            AirflowError: It has not ended by then, or Airflow has.
        """
        deadline = time.monotonic() + seconds
        while True:
            state = self.run_state(dag_id, run_id)
            if on_poll:
                on_poll(self.task_states(dag_id, run_id))
            if state in {"success", "failed"}:
                return state
            if time.monotonic() > deadline:
                raise AirflowError(f"{dag_id} {run_id}: expected to end within {seconds:g} s, got state {state}")
            time.sleep(0.5)

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return each task's state; of a mapped task, its last shard's."""
        found = self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {entry["task_id"]: entry["state"] for entry in found}

    def check_alive(self) -> None:
        """Raise an AirflowError when a process has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AirflowError(
                    f"airflow {name}: expected to be running, got exit code {process.returncode};"
                    f" see {self.home / f'{name}.log'}"
                )


@contextmanager
def running_airflow(home: Path, port: int, environment: Mapping[str, str] | None = None) -> Iterator[Airflow]:
    """Run Airflow for the block; at its end, however it ends, no process of it is left.

    Args:
        home: AIRFLOW_HOME; made when it is not there.
        port: Port of the UI and the REST API on 127.0.0.1.
        environment: More environment variables for its processes.

    Raises:
        AirflowError: It did not start.
    """
    home.mkdir(parents=True, exist_ok=True)
    airflow = Airflow(home, f"http://127.0.0.1:{port}")
    settings = {"NIGHTGLASS_HOME": str(read_settings().home), **airflow_environment(home, port)}
    variables = {**os.environ, **settings, **(environment or {})}
    try:
        _migrate(home, variables)
        for name in COMPONENTS:
            airflow.processes[name] = _start(name, home, variables)
        _wait_until_ready(airflow)
        yield airflow
    finally:
        airflow.client.close()
        with uninterrupted():
            stop(list(airflow.processes.values()))


def airflow_environment(home: Path, port: int) -> dict[str, str]:
    """Return the settings of a small local Airflow that runs this repository's DAGs."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",  # LocalExecutor forks all of them at once
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        # With SQLite's own patience of 5 s, requests fail while the scheduler writes on a busy machine.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=30",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # Until then the end of a task's process may go unnoticed.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # None of the libraries reports to anybody.
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "NIGHTGLASS_UI_URL": f"http://127.0.0.1:{port}",
        "PYTHONUNBUFFERED": "1",
    }


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the port on this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def exit_on_signals() -> None:
    """Let SIGTERM and a closed terminal end the program as Ctrl-C does, so that Airflow is stopped."""
    # A program that a script starts in the background inherits an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda *_: sys.exit(143))


def stop(processes: list[subprocess.Popen[bytes]], patience: float = 10) -> None:
    """End processes and all that they started: ask, wait, then kill.

    Airflow's tasks have process groups of their own, but every process stays in the session of the component
    that started it.
    """
    for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        members = [member for process in processes for member in _session(process.pid)]
        for member in members:
            try:
                member.send_signal(sign)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(members, timeout=wait)
    for process in processes:
        process.wait()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Leave a second Ctrl-C, or a terminal that is closed, unheard: interrupted now, processes would be left."""
    signs = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(sign, signal.SIG_IGN) for sign in signs]
    try:
        yield
    finally:
        for sign, handler in zip(signs, before, strict=True):
            signal.signal(sign, handler)


def _session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                found.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def _migrate(home: Path, variables: Mapping[str, str]) -> None:
    log = home / "db-migrate.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        code = subprocess.run(command, env=variables, stdout=output, stderr=output, check=False).returncode
    if code:
        raise AirflowError(f"airflow db migrate: expected success, got exit code {code}; see {log}")


def _start(name: str, home: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (home / f"{name}.log").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *COMPONENTS[name]],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(airflow: Airflow, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        airflow.check_alive()
        try:
            health = httpx.get(f"{airflow.url}/api/v2/monitor/health", timeout=5).json()
            if health["scheduler"]["status"] == "healthy" == health["dag_processor"]["status"]:
                airflow.log_in()
                return
        except (httpx.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.3)
    raise AirflowError(f"expected Airflow at {airflow.url} within {seconds:g} s; see {airflow.home}/*.log")
