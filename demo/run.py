"""`make demo`: five nights of real photographs, scored by a real Airflow, and what Nightglass says about them.

Read it from the bottom: `main` is the whole story. Everything that it writes is below NIGHTGLASS_HOME, and it
leaves nothing running. A second run finds what the first one wrote.
"""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from airflow_processes import Airflow, AirflowError, exit_on_signals, free_port, running_airflow
from layout import BAD_NIGHT, COLLECTION, NIGHTS, QUIET_NIGHTS, TRAINING, lay_out
from nightglass.collections import Collection, read_collection
from nightglass.errors import NightglassError
from nightglass.models import open_registry
from nightglass.settings import Settings, read_settings
from nightglass.store import NightRow, Store

NIGHT_SECONDS = 300


def fit_champion(collection: Collection, collection_file: Path, settings: Settings, images: Path) -> None:
    """Fit a detector on the good cells and register it; the first version of a model becomes its champion."""
    if open_registry(settings).get_champion(collection.model_name):
        say(f"The champion of {collection.name} is registered already")
        return
    say(f"Fitting a detector on {len(list(images.glob('*.png')))} good cells and registering it as champion")
    arguments = ["--images", str(images), "--out", str(settings.home / "demo" / "detector"), "--register"]
    nightglass = Path(sys.executable).with_name("nightglass")
    subprocess.run([nightglass, "fit", *arguments, "--collection", collection_file], check=True)


def run_nights(airflow: Airflow, collection: Collection) -> None:
    """Trigger the nightly DAG for one night after the other and wait for each."""
    dag_id = f"nightly_{collection.name}"
    airflow.make_pool(collection.scoring.pool, slots=1)
    airflow.wait_for_dag(dag_id)
    for night in NIGHTS:
        run_id = airflow.trigger(dag_id, {"night": night})
        state = airflow.wait_for_run(dag_id, run_id, NIGHT_SECONDS, on_poll=partial(show_progress, night))
        states = airflow.task_states(dag_id, run_id)
        show_progress(night, states, end="\n")
        if state != "success":
            failed = ", ".join(task for task, outcome in states.items() if outcome == "failed")
            raise AirflowError(f"{night}: expected success, got {state} in {failed}; logs: {airflow.home / 'logs'}")


def show_progress(night: str, states: dict[str, str | None], end: str = "") -> None:
    """Print one line that the next one overwrites: the night and a mark for each of its tasks."""
    marks = {"success": "+", "running": ">", "failed": "x", "upstream_failed": "x"}
    tasks = ("list_images", "validate_images", "score_shard", "assess_night", "publish_night")
    line = "  ".join(f"{marks.get(states.get(task) or '', '.')} {task}" for task in tasks)
    if sys.stdout.isatty() or end:
        print(f"\r  {night}  {line}", end=end, flush=True)


def show_results(nights: list[NightRow], settings: Settings) -> None:
    """Print the nights, the bad night's decision, and where to look."""
    print(f"\n  {'night':<12}{'scored':>8}{'quarantined':>13}{'anomalous':>11}{'rate':>9}   decision")
    for row in nights:
        rate = f"{row.anomaly_rate:.1%}" if row.anomaly_rate is not None else "-"
        counts = f"{row.scored:>8}{row.quarantined:>13}{row.anomalous:>11}{rate:>9}"
        print(f"  {row.night:<12}{counts}   {row.decision}")
    bad = nights[-1]
    print(f"\n  {bad.night}: {bad.sentence}\n")
    print(f"  Report        {bad.report_url}")
    print(f"  Results       {settings.database_url} (views nights, top_anomalies, decisions)")
    print("  Airflow's UI  make up\n")


def check_decisions(nights: list[NightRow]) -> None:
    """Raise an AirflowError unless the bad night, and only the bad night, asks for a new model."""
    decisions = {row.night: str(row.decision) for row in nights}
    if list(decisions) != list(NIGHTS):
        raise AirflowError(f"expected the nights {', '.join(NIGHTS)}, got {', '.join(decisions) or 'none'}")
    wrong = [night for night in QUIET_NIGHTS if decisions[night] not in {"ok", "watch"}]
    if wrong or decisions[BAD_NIGHT] != "retrain":
        raise AirflowError(f"expected retrain for {BAD_NIGHT} and ok or watch for the others, got {decisions}")


def say(text: str) -> None:
    """Print a step with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)


def main() -> None:
    """Lay out the nights, fit the champion, let Airflow score every night, and show what came out."""
    settings = read_settings()
    collection_file = settings.collections_dir / f"{COLLECTION}.yaml"
    collection = read_collection(collection_file)
    images = settings.home / "demo" / "images" / COLLECTION
    say(f"Laying out {len(NIGHTS)} nights of solar cells in {images}")
    lay_out(images)
    fit_champion(collection, collection_file, settings, images / TRAINING)
    say("Starting Airflow: scheduler, DAG processor, API server")
    with running_airflow(settings.home / "airflow", free_port()) as airflow:
        say(f"Airflow scores the nights (DAG nightly_{collection.name}, {airflow.url})")
        run_nights(airflow, collection)
        say("Stopping Airflow")
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        nights = store.list_nights(COLLECTION, limit=len(NIGHTS))[::-1]
    show_results(nights, settings)
    check_decisions(nights)
    say("Done; nothing is left running")


if __name__ == "__main__":
    STARTED = time.monotonic()
    os.environ["NIGHTGLASS_COLLECTIONS_DIR"] = str(Path(__file__).resolve().parents[1] / "include" / "collections")
    exit_on_signals()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted")
    except (AirflowError, NightglassError, OSError) as error:
        sys.exit(f"\ndemo: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"\ndemo: nightglass fit: expected success, got exit code {error.returncode}")
