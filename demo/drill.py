"""`make drill`: a lamp fades, somebody promotes the wrong model; how soon it is seen, told, and undone.

Read it from the bottom: `main` is the whole drill. It has a home of its own, NIGHTGLASS_HOME/drill, in which it leaves
its protocol, and it leaves nothing running. Of the demo it takes images and detector, where they are there.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from airflow_processes import Airflow, AirflowError, exit_on_signals, free_port, running_airflow
from drill_nights import (
    CALM_NIGHTS,
    COLLECTION,
    COLLECTION_FILE,
    DARK_NIGHTS,
    LIGHT,
    MENDED_NIGHT,
    darken_training,
    lay_out_drill,
)
from drill_protocol import DrillNight, Protocol, check_drill, show_header, show_night, write_protocol
from nightglass.collections import read_collection
from nightglass.detector.files import read_description
from nightglass.engine.fit import Fitted
from nightglass.errors import ModelError, NightglassError
from nightglass.models import register_fitted
from nightglass.records import Assessment
from nightglass.settings import Settings, read_settings
from nightglass.store import Store
from webhook import Webhook, listening_webhook

RUN_SECONDS = 300
ALERT_SECONDS = 30
NIGHTLY, ROLLBACK = f"nightly_{COLLECTION}", f"rollback_{COLLECTION}"


class Drill:
    """Airflow, the webhook that hears its alerts, and what was seen so far."""

    def __init__(self, airflow: Airflow, webhook: Webhook, settings: Settings) -> None:
        self.airflow, self.webhook, self.settings = airflow, webhook, settings
        self.nights: list[DrillNight] = []

    def run_night(self, night: str, what: str) -> DrillNight:
        """Trigger one night and wait until it is published and told."""
        started = time.monotonic()
        run_id = self.airflow.trigger(NIGHTLY, {"night": night})
        self._wait(NIGHTLY, run_id)
        return self._note(night, what, started)

    def roll_back(self) -> tuple[DrillNight, float, float]:
        """Roll back as an operator would; return the night scored again, and the seconds to the champion and to it."""
        started = time.monotonic()
        run_id = self.airflow.trigger(
            ROLLBACK, {"reason": "the drill: what was promoted knows dark cells only", "rescore": True}
        )
        while self.airflow.task_states(ROLLBACK, run_id).get("roll_back") not in {"success", "failed"}:
            self.airflow.check_alive()
            time.sleep(0.3)
        back = time.monotonic() - started
        self._wait(ROLLBACK, run_id)
        self._wait(NIGHTLY, f"rollback__{run_id}")
        seconds = time.monotonic() - started
        return self._note(MENDED_NIGHT, "scored again after the rollback", started), back, seconds

    def _wait(self, dag_id: str, run_id: str) -> None:
        state = self.airflow.wait_for_run(dag_id, run_id, RUN_SECONDS)
        if state != "success":
            raise AirflowError(f"{dag_id} {run_id}: expected success, got {state}; logs: {self.airflow.home / 'logs'}")

    def _note(self, night: str, what: str, started: float) -> DrillNight:
        seconds = time.monotonic() - started
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            row = next(row for row in store.list_nights(COLLECTION) if row.night == night)
        file = self.settings.home / "nights" / COLLECTION / night / "assessment.json"
        assessment = Assessment.model_validate_json(file.read_bytes())
        must_tell = row.decision != "ok"
        told = self.webhook.wait_for(night, started, ALERT_SECONDS) if must_tell else None
        noted = DrillNight(
            night=night,
            what=what,
            model_version=row.model_version,
            decision=str(row.decision),
            sentence=row.sentence,
            anomaly_rate=row.anomaly_rate,
            psi={each.name: each.psi for each in assessment.drift.statistics},
            published_after_seconds=round(seconds, 1),
            alert=told.title if told else None,
            alert_after_seconds=round(told.at - started, 1) if told else None,
        )
        self.nights.append(noted)
        show_night(noted)
        return noted


def fit(images: Path, out: Path, collection_file: Path) -> None:
    """Fit a detector and register it."""
    nightglass = Path(sys.executable).with_name("nightglass")
    arguments = ["--images", str(images), "--out", str(out), "--register", "--collection", str(collection_file)]
    subprocess.run([nightglass, "fit", *arguments], check=True, stdout=subprocess.DEVNULL)


def register_champion(demo: Path, collection_file: Path, settings: Settings) -> None:
    """Register the demo's detector as champion; where there is none that this version reads, fit one."""
    folder = demo / "detector"
    try:
        description = read_description(folder)
    except ModelError:
        say("Fitting the champion on the demo's good cells")
        fit(demo / "images" / "solar-cells" / "training", settings.home / "champion", collection_file)
        return
    say(f"Registering the demo's detector as champion ({folder})")
    fitted = Fitted(description, description.num_bank_images, 0, None)
    register_fitted(folder, fitted, read_collection(collection_file), settings)


def fade(drill: Drill) -> None:
    """Run nights with less and less light until one asks for a new model."""
    for night, light in zip(DARK_NIGHTS, LIGHT, strict=True):
        if drill.run_night(night, f"light {light:.0%}").decision == "retrain":
            return
    raise AirflowError(f"expected a night to ask for a new model, got none down to {LIGHT[-1]:.0%} of the light")


def promote_wrongly(demo: Path, collection_file: Path, settings: Settings) -> None:
    """Do what one should not: fit on dark images alone and promote that by hand, past every gate."""
    images = darken_training(demo / "images" / "solar-cells", settings.home / "images", LIGHT[-1])
    fit(images, settings.home / "challenger", collection_file)
    nightglass = Path(sys.executable).with_name("nightglass")
    reason = "the drill: the nights are dark, so somebody fitted on dark images"
    command = [nightglass, "models", "promote", "--collection", str(collection_file), "--version", "2"]
    subprocess.run([*command, "--reason", reason], check=True, stdout=subprocess.DEVNULL)


def run_drill(drill: Drill, demo: Path, collection_file: Path) -> Protocol:
    """Run the nights, the wrong promotion and the rollback; return what was seen."""
    drill.airflow.make_pool(read_collection(collection_file).scoring.pool, slots=1)
    for dag_id in (NIGHTLY, ROLLBACK):
        drill.airflow.wait_for_dag(dag_id)
    say(f"Calm nights, for the usual rate and drift ({drill.airflow.url})")
    show_header()
    for night in CALM_NIGHTS:
        drill.run_night(night, "calm")
    say("The lamp fades")
    fade(drill)
    say(f"Somebody fits a detector on cells with {LIGHT[-1]:.0%} of the light and promotes it, past every gate")
    promote_wrongly(demo, collection_file, drill.settings)
    say("The lamp is mended; the night after is scored by the wrong champion")
    wrong = drill.run_night(MENDED_NIGHT, "full light, wrong champion")
    say("An operator rolls back, and the night is scored again")
    again, back, recovered = drill.roll_back()
    told = drill.webhook.wait_for("roll", 0, ALERT_SECONDS)
    return Protocol.of(drill.nights, wrong, again, back, recovered, rollback_alert=told.title if told else None)


def say(text: str) -> None:
    """Print a step with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)


def make_own_home(home: Path) -> Path:
    """Make the drill's empty home below ``home`` and let it alone be written: no setting may lead to real results."""
    for name in [name for name in os.environ if name.startswith(("NIGHTGLASS_", "MLFLOW_TRACKING"))]:
        del os.environ[name]
    own = home / "drill"
    shutil.rmtree(own, ignore_errors=True)
    (own / "collections").mkdir(parents=True)
    os.environ["NIGHTGLASS_HOME"] = str(own)
    os.environ["NIGHTGLASS_COLLECTIONS_DIR"] = str(own / "collections")
    file = own / "collections" / f"{COLLECTION}.yaml"
    file.write_text(COLLECTION_FILE, encoding="utf-8")
    return file


def main() -> None:
    """Lay out the nights, run the drill in a real Airflow, and write its protocol."""
    home = read_settings().home
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "drill.lock", timeout=0), listening_webhook() as webhook:
        collection_file = make_own_home(home)
        os.environ["NIGHTGLASS_ALERT_URLS"] = webhook.url
        settings, demo = read_settings(), home / "demo"
        say(f"Laying out nights of solar cells in {settings.home / 'images'}")
        lay_out_drill(demo / "images" / "solar-cells", settings.home / "images")
        register_champion(demo, collection_file, settings)
        say("Starting Airflow: scheduler, DAG processor, API server")
        with running_airflow(settings.home / "airflow", free_port()) as airflow:
            protocol = run_drill(Drill(airflow, webhook, settings), demo, collection_file)
            say("Stopping Airflow")
        write_protocol(protocol, settings.home)
        check_drill(protocol)
    say("Done; nothing is left running")


if __name__ == "__main__":
    STARTED = time.monotonic()
    exit_on_signals()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ndrill: interrupted")
    except Timeout:
        sys.exit("drill: expected to be the only one in NIGHTGLASS_HOME, another one runs")
    except (AirflowError, NightglassError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"drill: {error}")
