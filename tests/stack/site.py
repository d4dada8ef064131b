"""What the tests of the whole stack share: a collection on the stack's S3, drawn nights, and its results."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import s3fs
from deploy.native import Stack
from psycopg.rows import dict_row

from tests.conftest import write_panels

COLLECTION = "panels"
SHARD_SIZE = 25
TEXT = f"""
images: s3://nightglass/images/{COLLECTION}/{{night}}
schedule: null
model: nightglass-{COLLECTION}
ready: {{quiet_minutes: 0}}
detector: {{precision: auto}}
scoring: {{shard_size: {SHARD_SIZE}, top_k: 3}}
validation: {{min_images: 20}}
decision: {{expected_anomaly_rate: 0.02, min_images: 20}}
retraining: {{promotion: automatic}}
"""
#: Airflow's own pauses, shortened; they change when something is seen, not what is done.
QUICK = {
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}
TASKS = {"list_images", "validate_images", "score_shard", "assess_night", "publish_night"}


@dataclass(frozen=True)
class Site:
    """A running stack with one collection; ``folder`` is where its images are drawn before they go to S3."""

    stack: Stack
    folder: Path

    def file_system(self) -> s3fs.S3FileSystem:
        """The stack's S3."""
        environment = self.stack.environment
        return s3fs.S3FileSystem(
            key=environment["AWS_ACCESS_KEY_ID"],
            secret=environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.stack.s3_endpoint,
            use_listings_cache=False,
        )

    def draw(self, night: str, seeds: range, *, defects: int = 0, collection: str = COLLECTION) -> None:
        """Put a night's panels on S3; the last ``defects`` of them are defect."""
        folder = write_panels(self.folder / collection / night, seeds, defects=defects)
        self.file_system().put(str(folder), f"nightglass/images/{collection}/{night}", recursive=True)

    def nightglass(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the command line as on a machine of the stack."""
        return subprocess.run(
            [sys.executable, "-c", "from nightglass.cli import main; main()", *map(str, arguments)],
            env=os.environ | self.stack.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def fit_champion(self) -> None:
        """Fit a detector on good panels and register it: the first version of the model is its champion."""
        good = write_panels(self.folder / "good", range(60))
        file = Path(self.stack.environment["NIGHTGLASS_COLLECTIONS_DIR"]) / f"{COLLECTION}.yaml"
        options = ("--out", self.folder / "detector", "--collection", file, "--register")
        done = self.nightglass("fit", "--images", good, *options)
        assert done.returncode == 0, done.stderr

    def trigger(self, night: str, **form: object) -> str:
        """Start a run of the nightly DAG and return its id."""
        return self.stack.airflow.trigger(f"nightly_{COLLECTION}", {"night": night, **form})

    def wait(self, run_id: str, seconds: float = 300) -> tuple[str, dict[str, str | None]]:
        """Wait for a run of the nightly DAG; return its state and those of its tasks."""
        dag_id = f"nightly_{COLLECTION}"
        state = self.stack.airflow.wait_for_run(dag_id, run_id, seconds)
        return state, self.stack.airflow.task_states(dag_id, run_id)

    def run_night(self, night: str, **form: object) -> tuple[str, dict[str, str | None]]:
        """Run a night to its end; return the run's state and those of its tasks."""
        return self.wait(self.trigger(night, **form))

    def task_instances(self, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run of the nightly DAG, each shard for itself."""
        path = f"/dags/nightly_{COLLECTION}/dagRuns/{run_id}/taskInstances?limit=1000"
        return list(self.stack.airflow.request("GET", path)["task_instances"])

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Return what a query of the results finds."""
        with psycopg.connect(self.stack.environment["NIGHTGLASS_DATABASE_URL"], row_factory=dict_row) as connection:
            return list(connection.execute(query, parameters or {}).fetchall())
