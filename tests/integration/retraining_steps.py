"""A line of panels that is retrained step by step: its homes, its steps, and processes that are killed in one."""

import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from PIL import Image

from nightglass.night import flow as night_flow
from nightglass.night.plan import NightPlan
from nightglass.retraining import flow
from nightglass.retraining.plan import Request, RetrainPlan
from tests.conftest import draw_panel
from tests.forked import FORKS

MODEL = "nightglass-panels"
COLLECTION = """
images: {images}
schedule: null
slices: '^(?P<shift>[a-z]+)/'
detector: {{precision: auto, patch_bank_size: 2000, backbone: {{image_size: 96}}}}
ready: {{quiet_minutes: 0}}
scoring: {{shard_size: 50, top_k: 4}}
decision: {{min_images: 20, min_baseline_nights: 2}}
retraining:
  promotion: automatic
  new_normal: admit
  # How fast a shared machine is at this moment is not what these tests are about.
  gates: {{latency_ratio: 1000, memory_ratio: 1000, size_ratio: {size_ratio}}}
"""
RUN = "manual__2026-03-05T06:00:00+00:00"
HOSTILE = [
    b"bytes-\xff\xfe.png",
    b"a..b.png",
    b"..%2F..%2Fetc.png",
    b"'; DROP TABLE nights; --.png",
    b"<img src=x onerror=alert(1)>.png",
    b"=HYPERLINK(1).png",
    b"[*?] | `x`\n.png",
    "夜\u202e.png".encode(),
]
# Kills the process at one place of a step, which its first argument names.
KILL = r"""
import os, signal, sys
import mlflow
from mlflow import MlflowClient
from sqlalchemy import Engine, event

kind, _, what = sys.argv[1].partition(": ")
seen = 0
is_written = False

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def audit(name, arguments):
    global seen
    if kind == "before the file" and name == "os.rename" and os.path.basename(os.fsdecode(arguments[1])) == what:
        die()
    if kind == "while it reads images" and name == "open" and "/images/" in str(arguments[0]):
        seen += 1
        if seen == int(what):
            die()
    if kind == "before a process" and name == "subprocess.Popen" and what in str(arguments[1]):
        die()

def write(connection, cursor, statement, *_):
    if kind == "before the row" and f"INSERT INTO {what}" in statement:
        die()

def written(connection, cursor, statement, *_):
    global is_written
    is_written |= f"INSERT INTO {what}" in statement

def commit(connection):
    if kind == "before the commit" and is_written:
        die()

def wrap(owner, name):
    original = getattr(owner, name)
    def call(*arguments, **keywords):
        if (kind, what) == ("before", name):
            die()
        result = original(*arguments, **keywords)
        if (kind, what) == ("after", name):
            die()
        return result
    setattr(owner, name, call)

for name in ("set_registered_model_alias", "set_model_version_tag", "update_model_version", "log_artifact"):
    wrap(MlflowClient, name)
wrap(mlflow, "register_model")
event.listen(Engine, "before_cursor_execute", write)
event.listen(Engine, "after_cursor_execute", written)
event.listen(Engine, "commit", commit)
sys.addaudithook(audit)

from nightglass.retraining import flow
from nightglass.retraining.plan import Request, RetrainPlan

step, text = sys.argv[2:]
if step == "snapshot":
    flow.snapshot(text, Request.model_validate_json(sys.stdin.read()))
elif step == "shadow_night":
    from nightglass.night import shadow
    from nightglass.night.plan import NightPlan

    shadow.shadow_night(NightPlan.model_validate_json(text))
else:
    keywords = {"promote_challenger": {"approved_by": None}, "conclude": {"promoted": True, "approval": None}}
    getattr(flow, step)(RetrainPlan.model_validate_json(text), **keywords.get(step, {}))
"""


def draw_new_panel(seed: int) -> Image.Image:
    """A lighter panel with a finer grid that is not always in the same place, as another supplier's."""
    random = np.random.default_rng(seed)
    pixels = np.full((120, 120), 175.0) + random.normal(0, 5, (120, 120)) + random.uniform(-20, 20)
    pixels[:, int(random.integers(20)) :: 20] -= random.uniform(30, 50)
    pixels[60] -= 40
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_new_panels(folder: Path, seeds: range) -> None:
    """Write one panel of the new kind a seed; the first have hostile names."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(seeds):
        name = HOSTILE[place] if place < len(HOSTILE) else f"new-{seed:05d}.png".encode()
        draw_new_panel(seed).save(folder / os.fsdecode(name))


def write_night(folder: Path, first: int, good: int, new: int = 0, defects: int = 0) -> None:
    """Write a night of good panels, panels of the new kind and defects, in three shifts."""
    for shift, seeds, is_defect in (
        ("early", range(first, first + good), False),
        ("late", range(first + 500, first + 500 + defects), True),
    ):
        (folder / shift).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            name = f"{'defect' if is_defect else 'good'}-{seed:05d}.png"
            draw_panel(seed, is_defect=is_defect).save(folder / shift / name)
    if new:
        write_new_panels(folder / "night", range(first, first + new))


@dataclass(frozen=True)
class Home:
    """A NIGHTGLASS_HOME with the collection `panels`."""

    path: Path

    @property
    def file(self) -> str:
        """The collection's file."""
        return str(self.path / "panels.yaml")

    def copy(self, to: Path) -> "Home":
        """Copy everything; MLflow's database names its artifacts by their address, so that is brought up to date."""
        shutil.copytree(self.path, to)
        with sqlite3.connect(to / "mlflow.db") as database:
            for table, column in (
                ("experiments", "artifact_location"),
                ("runs", "artifact_uri"),
                ("logged_models", "artifact_location"),
                ("model_versions", "source"),
                ("model_versions", "storage_location"),
            ):
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(self.path), str(to)))
        return Home(to)

    def run_night(self, night: str) -> dict[str, Any]:
        """Score a night, as its DAG does."""
        plan = night_flow.list_night(self.file, night)
        for shard in night_flow.validate_night(plan):
            night_flow.score_night_shard(plan, shard)
        night_flow.assess_night(plan)
        return night_flow.publish_night(plan)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the results database."""
        with sqlite3.connect(self.path / "nightglass.db") as database:
            return database.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Change the results database."""
        with sqlite3.connect(self.path / "nightglass.db") as database:
            database.execute(sql)

    def every_row(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the whole results database."""
        names = [name for (name,) in self.query("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(self.query(f"SELECT * FROM {name}"), key=repr) for name in names}

    @property
    def client(self) -> MlflowClient:
        """MLflow's own client."""
        return MlflowClient(f"sqlite:///{self.path / 'mlflow.db'}")

    def alias(self) -> str:
        """Return the version that MLflow's alias points to."""
        return str(self.client.get_registered_model(MODEL).aliases["champion"])

    def log(self) -> list[str]:
        """Return the promoted versions, newest first."""
        return [v for (v,) in self.query("SELECT version FROM model_history ORDER BY entry DESC")]

    def versions_of(self, run: str) -> list[str]:
        """Return the versions that a retraining registered."""
        found = self.client.search_model_versions(f"name='{MODEL}'")
        return sorted(str(version.version) for version in found if version.tags.get("retraining") == run)

    def start_killed(
        self, place: str, step: str, plan: RetrainPlan | Request | NightPlan
    ) -> subprocess.CompletedProcess[str]:
        """Run a step in a process that dies at a place, or ends well where it never comes there."""
        is_request = isinstance(plan, Request)
        text = plan.model_dump_json()
        arguments = (place, step, self.file if is_request else text)
        return FORKS.run(KILL, arguments, {"NIGHTGLASS_HOME": str(self.path)}, text if is_request else "")


def request(**fields: Any) -> Request:
    """Ask for a retraining as the night of the new panels does."""
    asked = {"run": RUN, "requested_by": "the nightly decision", "reason": "anomaly rate", "champion_version": "1"}
    return Request(**asked | fields)


def promote(plan: RetrainPlan) -> Any:
    """Promote as the DAG does where nobody is asked."""
    return flow.promote_challenger(plan, approved_by=None)


def conclude(plan: RetrainPlan, *, promoted: bool = True) -> Any:
    """End as the DAG does where nobody was asked."""
    return flow.conclude(plan, promoted=promoted, approval=None)
