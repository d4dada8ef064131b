"""A collection whose images change, in a real Airflow: what the tests of retraining drive and look at."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from nightglass.retraining.records import Retraining
from nightglass.settings import Settings
from nightglass.store import PromotionEvent, Store
from tests.conftest import draw_panel, write_panels

SECONDS = 600

# Costs are those of a busy machine here. Drift decides nothing: a night whose images a model has learned scores lower.
COLLECTION = """
images: {images}/{name}/{{night}}
schedule: null
ready: {{quiet_minutes: 0, poll_seconds: 10}}
detector: {{precision: auto, patch_bank_size: 2000, backbone: {{image_size: 96}}}}
scoring: {{top_k: 3}}
validation: {{min_images: 20}}
drift: {{watch_psi: 20, retrain_psi: 20, watch_separability: 1, retrain_separability: 1}}
decision: {{expected_anomaly_rate: 0.02, min_images: 20}}
alerts: {{connection: people}}
retraining:
  promotion: {promotion}
  approval_hours: {hours}
  new_normal: admit
  max_night_share: 0.8
  shadow: {{nights: {shadow_nights}}}
  gates: {{latency_ratio: 20, memory_ratio: 20}}
"""


@dataclass(frozen=True)
class Loop:
    """The collection in which another kind of panel comes down the line, and what is known of it."""

    name: str
    airflow: object
    settings: Settings
    file: Path

    @property
    def dag(self) -> str:
        """Its retraining DAG."""
        return f"retrain_{self.name}"

    def write_file(
        self, images: Path, *, hours: float = 24, promotion: str = "approval", shadow_nights: int = 0
    ) -> None:
        """Write the collection's file, with this long to answer."""
        text = COLLECTION.format(
            images=images, name=self.name, hours=hours, promotion=promotion, shadow_nights=shadow_nights
        )
        self.file.write_text(text)

    def history(self) -> list[PromotionEvent]:
        """The promotion log, newest first."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            return store.model_history(self.name)

    def retraining(self, run: str) -> Retraining:
        """What the database keeps of a run."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            (found,) = [row for row in store.list_retrainings(self.name) if row.run == run]
            return found

    def champion(self) -> str:
        """The version that MLflow's alias names."""
        from mlflow import MlflowClient

        return str(
            MlflowClient(self.settings.tracking_url).get_registered_model(f"nightglass-{self.name}").aliases["champion"]
        )

    def night(self) -> tuple[str, str]:
        """Which version scored the night the last time, and its decision."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            (row,) = store.list_nights(self.name)
            return row.model_version, row.decision

    def events(self, asset: str) -> list[dict]:
        """The extras of an asset's events."""
        found = self.airflow.request("GET", f"/assets?name_pattern={asset}")["assets"]
        (number,) = [entry["id"] for entry in found if entry["name"] == asset]
        events = self.airflow.request("GET", f"/assets/events?asset_id={number}")["asset_events"]
        return [event["extra"] for event in events]

    def runs(self) -> list[dict]:
        """The retraining DAG's runs."""
        return self.airflow.request("GET", f"/dags/{self.dag}/dagRuns")["dag_runs"]

    def wait_until_asked(self, run: str) -> dict:
        """Wait until the run asks for approval; return what a person is shown."""
        deadline = time.monotonic() + SECONDS
        while self.airflow.task_states(self.dag, run).get("approve") != "awaiting_input":
            assert self.airflow.run_state(self.dag, run) in {"queued", "running"}, self.airflow.task_states(
                self.dag, run
            )
            assert time.monotonic() < deadline, self.airflow.task_states(self.dag, run)
            time.sleep(0.5)
        # Nobody answers faster: before the scheduler has seen the task's process end, it would take it for lost.
        time.sleep(5)
        return self.airflow.request("GET", self.question(run))

    def end(self, run: str) -> dict[str, str | None]:
        """Wait until the run has ended well; return the states of its tasks."""
        assert self.airflow.wait_for_run(self.dag, run, SECONDS) == "success", self.airflow.task_states(self.dag, run)
        return self.airflow.task_states(self.dag, run)

    def question(self, run: str) -> str:
        """Where Airflow's API has what a person is asked."""
        return f"/dags/{self.dag}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"

    def wait_for_request(self) -> str:
        """Wait until a night has started a retraining by itself; return its run."""
        deadline = time.monotonic() + 60
        while not (runs := self.runs()):
            assert time.monotonic() < deadline, "the night's request started nothing"
            time.sleep(0.5)
        (run,) = runs
        assert run["run_type"] == "asset_triggered"
        return str(run["dag_run_id"])


def draw_night(folder: Path, first: int = 100, usual: int = 30, others: int = 100) -> None:
    """Usual panels and ones with one dark line more, as they came, in turns."""
    write_panels(folder, range(first, first + usual))
    for seed in range(first + 100, first + 100 + others):
        pixels = np.asarray(draw_panel(seed)).astype(int)
        pixels[60] -= 80
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"other-{seed:05d}.png")
    files = sorted(folder.iterdir())
    random.Random(0).shuffle(files)
    for place, file in enumerate(files):
        os.utime(file, (1772474400 + 10 * place,) * 2)


def begin_loop(name: str, site: object, airflow: object, nightglass: object, **options: object) -> Loop:
    """Fit and register a champion that knows one kind of panel, and wait for the collection's DAGs."""
    loop = Loop(name, airflow, Settings(home=site.home).resolved(), site.collections / f"{name}.yaml")
    loop.write_file(site.images, **options)
    good = write_panels(site.images / "known", range(60))
    out = ("--out", site.home / f"known-{name}", "--collection", loop.file, "--register")
    fitted = nightglass("fit", "--images", good, *out, env={"NIGHTGLASS_HOME": str(site.home)})
    assert fitted.returncode == 0, fitted.stderr
    for kind in ("nightly", "retrain", "rollback"):
        airflow.wait_for_dag(f"{kind}_{name}")
    return loop
