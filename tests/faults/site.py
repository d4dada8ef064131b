"""The stack under the fault tests: a proxy before its S3, a keeper that restarts what died, and nights to disturb."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import s3fs
from deploy.native import Stack, StackError
from deploy.native.process import Process
from mlflow import MlflowClient
from mlflow.entities import ViewType

from demo.airflow_processes import AirflowError
from nightglass.storage import Folder, open_folder
from tests.conftest import Webhook
from tests.faults.clocks import Clocks
from tests.faults.comparison import Left
from tests.faults.s3_proxy import S3Proxy

NIGHT = "2026-03-02"
IMAGES, DEFECTS, SHARD_SIZE = 120, 24, 30
COLLECTION = f"""
images: s3://nightglass/images/{{night}}
schedule: null
model: nightglass-panels
ready: {{quiet_minutes: 0}}
detector: {{precision: auto}}
scoring: {{shard_size: {SHARD_SIZE}, batch_size: 10, top_k: 3}}
validation: {{min_images: 20}}
decision: {{expected_anomaly_rate: 0.02, min_images: 20}}
retraining: {{automatic: false}}
"""
#: A task without a heartbeat for so many seconds is taken for dead.
HEARTBEAT_TIMEOUT = 20
#: Pauses, shortened; they change when something is seen and tried again, not what is done.
QUICK = {
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    "NIGHTGLASS_RETRY_SECONDS": "5",
}
#: Where every process of the stack that runs Nightglass keeps temporary files, below the stack's home.
TEMPORARY = "volumes/nightglass-home/tmp"


class Keeper(threading.Thread):
    """What `restart: unless-stopped` of the compose file does: starts again what died by itself or was killed."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack, self._away = stack, set[str]()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(1):
            for process in self._stack.processes.values():
                if process.launch.service.is_one_shot or process.name in self._away or process.is_running:
                    continue
                with suppress(Exception):
                    process.kill()  # what is left of a container goes with it
                    process.start()

    def end(self) -> None:
        self._over.set()
        self.join()

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Kill a service and keep it away for the block; then it starts again."""
        self._away.add(name)
        try:
            self._stack.kill(name)
            yield
        finally:
            self._away.discard(name)

    def restart(self, name: str) -> None:
        """Restart a service as a person does, and wait until it is healthy."""
        self._away.add(name)
        try:
            self._stack.restart(name)
        finally:
            self._away.discard(name)


@dataclass
class Site:
    """The running stack and the images of one night, the same for every collection."""

    stack: Stack
    proxy: S3Proxy
    keeper: Keeper
    webhook: Webhook
    clocks: Clocks | None = None
    names: list[str] = field(default_factory=list)

    @property
    def collections(self) -> Path:
        return Path(self.stack.environment["NIGHTGLASS_COLLECTIONS_DIR"])

    def file_system(self) -> s3fs.S3FileSystem:
        """The stack's S3, by the way on which the weather is good."""
        return s3fs.S3FileSystem(**self._credentials, use_listings_cache=False)

    @property
    def _credentials(self) -> dict[str, Any]:
        environment = self.stack.environment
        keys = {"key": environment["AWS_ACCESS_KEY_ID"], "secret": environment["AWS_SECRET_ACCESS_KEY"]}
        return keys | {"client_kwargs": {"endpoint_url": self.stack.s3_endpoint}}

    def folder(self, collection: str) -> Folder:
        """The folder that a collection's night leaves."""
        return open_folder(f"s3://nightglass/nights/{collection}/{NIGHT}", self._credentials)

    def nightglass(self, *arguments: object) -> None:
        """Run the command line as on a machine of the stack."""
        command = [sys.executable, "-c", "from nightglass.cli import main; main()", *map(str, arguments)]
        environment = os.environ | self.stack.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def left(self, collection: str) -> Left:
        """What a collection's night left in its folder and in the results database."""
        url = self.stack.environment["NIGHTGLASS_DATABASE_URL"]
        return Left.read(self.folder(collection), url, collection, NIGHT)

    def runs_of_mlflow(self, collection: str) -> list[tuple[str, dict[str, float]]]:
        """The runs of a collection in MLflow, deleted ones aside: their state and what was measured."""
        client = MlflowClient(self.stack.environment["NIGHTGLASS_TRACKING_URL"])
        experiment = client.get_experiment_by_name(f"nightglass/{collection}")
        if experiment is None:
            return []
        found = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY)
        return [(run.info.status, dict(run.data.metrics)) for run in found]

    def alerts(self, collection: str) -> list[str]:
        """The titles of what people were told of a collection's decision."""
        return [title for title in self.webhook.about(f"{collection} {NIGHT}") if "retrain" in title]

    def requests(self, collection: str) -> list[dict[str, Any]]:
        """The events that ask for a new model of a collection."""
        events = self.stack.airflow.request("GET", "/assets/events?limit=1000")["asset_events"]
        return [event["extra"] for event in events if event["extra"].get("collection") == collection]

    def uploads(self) -> list[Any]:
        """Uploads in parts that were begun and neither ended nor given up."""
        found = self.file_system().call_s3("list_multipart_uploads", Bucket="nightglass")
        return list(found.get("Uploads") or [])


@dataclass
class Night:
    """One run of a collection's nightly DAG."""

    site: Site
    collection: str
    run_id: str = ""

    @property
    def dag_id(self) -> str:
        return f"nightly_{self.collection}"

    def trigger(self) -> str:
        self.run_id = self.site.stack.airflow.trigger(self.dag_id, {"night": NIGHT})
        return self.run_id

    def tasks(self, task_id: str | None = None, run_id: str | None = None) -> list[dict[str, Any]]:
        """The run's task instances."""
        path = f"/dags/{self.dag_id}/dagRuns/{run_id or self.run_id}/taskInstances?limit=100"
        found = self.site.stack.airflow.request("GET", path)["task_instances"]
        return [entry for entry in found if task_id in {None, entry["task_id"]}]

    def wait(self, what: str, is_so: Callable[[], Any], seconds: float = 240) -> Any:
        """Wait until something is so, and return it; an API server that does not answer is waited for."""
        deadline, last = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            try:
                if found := is_so():
                    return found
            except (AirflowError, StackError, OSError, httpx.HTTPError) as error:
                last = f" ({error})"
            time.sleep(0.3)
        raise AssertionError(
            f"{self.collection}: expected {what} within {seconds:g} s, got none{last}\n{self._states()}"
        )

    def wait_for(self, task_id: str, *states: str) -> dict[str, Any]:
        """Wait until an instance of a task is in one of the states, and return it."""
        found: dict[str, Any] = self.wait(
            f"{task_id} {states}",
            lambda: next((entry for entry in self.tasks(task_id) if entry["state"] in states), None),
        )
        return found

    def finish(self, run_id: str | None = None, seconds: float = 300) -> None:
        """Wait until the run has ended well."""
        path = f"/dags/{self.dag_id}/dagRuns/{run_id or self.run_id}"
        ended = self.wait("the end of the run", lambda: self._ended(path), seconds)
        assert ended == "success", self._states()

    def _ended(self, path: str) -> str | None:
        state = self.site.stack.airflow.request("GET", path)["state"]
        return str(state) if state in {"success", "failed"} else None

    def _states(self) -> str:
        with suppress(Exception):
            kept = ("task_id", "map_index", "state", "try_number")
            return "\n".join(str({name: entry[name] for name in kept}) for entry in self.tasks())
        return ""

    def service_of(self, pid: int) -> Process:
        """The service that a process belongs to."""
        session = os.getsid(pid)
        return next(process for process in self.site.stack.processes.values() if process.pid == session)
