"""Retraining through Airflow's own scheduler: a night asks, a person approves or does not, an operator rolls back."""

import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nightglass.retraining.records import Retraining
from nightglass.settings import Settings
from nightglass.store import PromotionEvent, Store
from tests.conftest import draw_panel, write_panels

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

NAME, MODEL, NIGHT = "changing", "nightglass-changing", "2026-03-02"
DAG = f"retrain_{NAME}"
STEPS = {"take_snapshot", "fit_challenger", "evaluate_models", "judge_challenger", "choose_next"}
SECONDS = 600

# Costs are those of a busy machine here. Drift decides nothing: a night whose images a model has learned scores lower.
COLLECTION = """
images: {images}/{name}/{{night}}
schedule: null
ready: {{quiet_minutes: 0}}
detector: {{precision: auto, patch_bank_size: 2000, backbone: {{image_size: 96}}}}
scoring: {{top_k: 3}}
validation: {{min_images: 20}}
drift: {{watch_psi: 20, retrain_psi: 20, watch_separability: 1, retrain_separability: 1}}
decision: {{expected_anomaly_rate: 0.02, min_images: 20}}
alerts: {{connection: people}}
retraining:
  promotion: approval
  approval_hours: {hours}
  new_normal: admit
  max_night_share: 0.8
  gates: {{latency_ratio: 20, memory_ratio: 20}}
"""


@dataclass(frozen=True)
class Loop:
    """The collection in which another kind of panel comes down the line, and what is known of it."""

    airflow: object
    settings: Settings
    file: Path

    def write_file(self, images: Path, hours: float) -> None:
        """Write the collection's file with this long to answer."""
        self.file.write_text(COLLECTION.format(images=images, name=NAME, hours=hours))

    def history(self) -> list[PromotionEvent]:
        """The promotion log, newest first."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            return store.model_history(NAME)

    def retraining(self, run: str) -> Retraining:
        """What the database keeps of a run."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            (found,) = [row for row in store.list_retrainings(NAME) if row.run == run]
            return found

    def champion(self) -> str:
        """The version that MLflow's alias names."""
        from mlflow import MlflowClient

        return str(MlflowClient(self.settings.tracking_url).get_registered_model(MODEL).aliases["champion"])

    def night(self) -> tuple[str, str]:
        """Which version scored the night the last time, and its decision."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            (row,) = store.list_nights(NAME)
            return row.model_version, row.decision

    def events(self, asset: str) -> list[dict]:
        """The extras of an asset's events."""
        found = self.airflow.request("GET", f"/assets?name_pattern={asset}")["assets"]
        (number,) = [entry["id"] for entry in found if entry["name"] == asset]
        events = self.airflow.request("GET", f"/assets/events?asset_id={number}")["asset_events"]
        return [event["extra"] for event in events]

    def runs(self) -> list[dict]:
        """The retraining DAG's runs."""
        return self.airflow.request("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]

    def wait_until_asked(self, run: str) -> dict:
        """Wait until the run asks for approval; return what a person is shown."""
        deadline = time.monotonic() + SECONDS
        while self.airflow.task_states(DAG, run).get("approve") != "awaiting_input":
            assert self.airflow.run_state(DAG, run) in {"queued", "running"}, self.airflow.task_states(DAG, run)
            assert time.monotonic() < deadline, self.airflow.task_states(DAG, run)
            time.sleep(0.5)
        # Nobody answers faster: before the scheduler has seen the task's process end, it would take it for lost.
        time.sleep(5)
        return self.airflow.request("GET", question(run))

    def end(self, run: str) -> dict[str, str | None]:
        """Wait until the run has ended well; return the states of its tasks."""
        assert self.airflow.wait_for_run(DAG, run, SECONDS) == "success", self.airflow.task_states(DAG, run)
        return self.airflow.task_states(DAG, run)


def question(run: str) -> str:
    return f"/dags/{DAG}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"


def draw_night(folder: Path) -> None:
    """Thirty usual panels and a hundred with one dark line more, as they came, in turns."""
    write_panels(folder, range(100, 130))
    for seed in range(200, 300):
        pixels = np.asarray(draw_panel(seed)).astype(int)
        pixels[60] -= 80
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"other-{seed:05d}.png")
    files = sorted(folder.iterdir())
    random.Random(0).shuffle(files)
    for place, file in enumerate(files):
        os.utime(file, (1772474400 + 10 * place,) * 2)


@pytest.fixture(scope="module")
def loop(site, airflow, nightglass, run_night) -> Loop:
    """A champion that knows one kind of panel, and a night with another kind, which has been scored."""
    loop = Loop(airflow, Settings(home=site.home).resolved(), site.collections / f"{NAME}.yaml")
    loop.write_file(site.images, 24)
    good = write_panels(site.images / "known", range(60))
    out = ("--out", site.home / "known", "--collection", loop.file, "--register")
    fitted = nightglass("fit", "--images", good, *out, env={"NIGHTGLASS_HOME": str(site.home)})
    assert fitted.returncode == 0, fitted.stderr
    for kind in ("nightly", "retrain", "rollback"):
        airflow.wait_for_dag(f"{kind}_{NAME}")
    draw_night(site.images / NAME / NIGHT)
    assert run_night(NAME, NIGHT)[0] == "success"
    assert loop.night() == ("1", "retrain")
    return loop


@pytest.fixture(scope="module")
def asked(loop) -> tuple[str, dict]:
    """The run that the night started by itself, which waits for a person, and what it shows them."""
    deadline = time.monotonic() + 60
    while not (runs := loop.runs()):
        assert time.monotonic() < deadline, "the night's request started nothing"
        time.sleep(0.5)
    (run,) = runs
    assert run["run_type"] == "asset_triggered"
    return run["dag_run_id"], loop.wait_until_asked(run["dag_run_id"])


@pytest.fixture(scope="module")
def approved(loop, asked) -> tuple[str, dict[str, str | None]]:
    """The same run, after somebody approved."""
    run, _ = asked
    assert loop.champion() == "1"
    loop.airflow.request("PATCH", question(run), {"chosen_options": ["Approve"]})
    return run, loop.end(run)


@pytest.fixture(scope="module")
def rolled_back(loop, approved, run_night) -> str:
    """The night scored by the new champion, a rollback, and the run of it that scores the night once more."""
    assert run_night(NAME, NIGHT)[0] == "success"
    version, decision = loop.night()
    assert version == "2"
    assert decision in {"ok", "watch"}
    dag_id = f"rollback_{NAME}"
    run = loop.airflow.trigger(dag_id, {"reason": "too quiet", "rescore": True})
    assert loop.airflow.wait_for_run(dag_id, run, SECONDS) == "success"
    assert loop.airflow.wait_for_run(f"nightly_{NAME}", f"rollback__{run}", SECONDS) == "success"
    return run


def test_the_person_who_is_asked_sees_every_gate(asked):
    _, shown = asked

    assert shown["subject"].startswith("All ")
    assert shown["options"] == ["Approve", "Reject"]
    assert shown["defaults"] == ["Reject"]
    for gate in ("Enough training images", "False alarms on good images", "Better than the champion"):
        assert f"| {gate} | yes |" in shown["body"]


def test_an_approved_challenger_is_champion_in_the_name_of_whoever_approved(loop, approved, webhook):
    run, states = approved

    assert states == dict.fromkeys([*STEPS, "approve", "promote_challenger", "conclude"], "success")
    (entry,) = [event for event in loop.history() if event.run == run]
    assert (entry.event, entry.version, entry.previous_version, entry.by) == ("promoted", "2", "1", "admin")
    (told,) = [extra for extra in loop.events(f"champion_{NAME}") if extra["run"] == run]
    assert (told["version"], told["by"]) == ("2", "admin")
    row = loop.retraining(run)
    assert (row.outcome, row.requested_by, row.champion_version, row.challenger_version) == (
        "promoted",
        "the nightly decision",
        "1",
        "2",
    )
    assert row.reason.startswith(f"{NIGHT}: the anomaly rate is")
    assert len(webhook.about(f"{NAME}: challenger promoted")) == 1


def test_card_and_report_lie_in_the_retrainings_folder(loop, approved):
    folder = Path(loop.retraining(approved[0]).folder_url)

    assert folder.parent == loop.settings.home / "retraining" / NAME
    card = (folder / "card.md").read_text()
    (line,) = [line for line in card.splitlines() if "Approved by" in line]
    assert "admin, 20" in line
    for name in ("card.html", "report.html"):
        assert "<html" in (folder / name).read_text()
    assert json.loads((folder / "gates.json").read_text())["passed"]


def test_after_a_rollback_the_old_champion_has_scored_the_night_again(loop, rolled_back):
    newest, *_ = loop.history()
    assert (newest.event, newest.version, newest.by, newest.reason, newest.run) == (
        "rolled_back",
        "1",
        "admin",
        "too quiet",
        rolled_back,
    )
    assert loop.champion() == "1"
    assert loop.night() == ("1", "retrain")
    # It asked for the same before; that is no news.
    assert len(loop.events(f"retrain_requests_{NAME}")) == 1


def test_a_rejected_challenger_is_written_down_and_not_promoted(loop, rolled_back):
    before = loop.history()
    run = loop.airflow.trigger(DAG, {"reason": "once more"})
    loop.wait_until_asked(run)

    loop.airflow.request("PATCH", question(run), {"chosen_options": ["Reject"]})

    states = loop.end(run)
    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("success", "skipped", "success")
    row = loop.retraining(run)
    assert (row.outcome, row.requested_by, row.reason) == ("rejected", "admin", "once more")
    assert "rejected by admin" in row.sentence
    assert all(gate.passed for gate in row.gates)
    assert "Rejected by" in (Path(row.folder_url) / "card.md").read_text()
    assert (loop.history(), loop.champion()) == (before, "1")


def test_where_nobody_answers_in_time_nothing_is_promoted(loop, rolled_back, site):
    before = loop.history()
    loop.write_file(site.images, 0.001)
    run = loop.airflow.trigger(DAG, {})

    states = loop.end(run)

    loop.write_file(site.images, 24)
    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("success", "skipped", "success")
    assert loop.airflow.request("GET", question(run))["responded_by_user"] is None
    row = loop.retraining(run)
    assert (row.outcome, row.reason) == ("rejected", "started by hand")
    assert "nobody approved it in time" in row.sentence
    assert (loop.history(), loop.champion()) == (before, "1")


def test_a_dry_run_asks_nobody_and_promotes_nothing(loop, rolled_back):
    before = loop.history()
    run = loop.airflow.trigger(DAG, {"dry_run": True})

    states = loop.end(run)

    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("skipped", "skipped", "success")
    assert loop.retraining(run).outcome == "dry_run"
    assert (loop.history(), loop.champion()) == (before, "1")
