"""`make demo`: nights of real photographs, a change in them, a new model with its proof, and the way back.

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
from layout import CHANGED_NIGHT, COLLECTION, LATER_NIGHT, QUIET_NIGHTS, TRAINING, lay_out
from nightglass.collections import Collection, read_collection
from nightglass.errors import NightglassError
from nightglass.models import open_registry
from nightglass.retraining.records import Retraining
from nightglass.settings import Settings, read_settings
from nightglass.store import NightRow, PromotionEvent, Store

NIGHT_SECONDS = 300
RETRAIN_SECONDS = 600
NIGHTLY_TASKS = ("list_images", "validate_images", "score_shard", "assess_night", "publish_night")
RETRAIN_TASKS = (
    "take_snapshot",
    "fit_challenger",
    "evaluate_models",
    "judge_challenger",
    "promote_challenger",
    "conclude",
)


def fit_champion(collection: Collection, collection_file: Path, settings: Settings, images: Path) -> None:
    """Fit a detector on the good cells and register it; the first version of a model becomes its champion."""
    if open_registry(settings).get_champion(collection.model_name):
        say(f"The champion of {collection.name} is registered already")
        return
    say(f"Fitting a detector on {len(list(images.rglob('*.png')))} good cells and registering it as champion")
    arguments = ["--images", str(images), "--out", str(settings.home / "demo" / "detector"), "--register"]
    nightglass = Path(sys.executable).with_name("nightglass")
    subprocess.run([nightglass, "fit", *arguments, "--collection", collection_file], check=True)


def run_night(airflow: Airflow, night: str) -> None:
    """Trigger the nightly DAG for one night and wait for it."""
    run_id = airflow.trigger(f"nightly_{COLLECTION}", {"night": night})
    wait_for(airflow, f"nightly_{COLLECTION}", run_id, night, NIGHT_SECONDS, NIGHTLY_TASKS)


def wait_for(airflow: Airflow, dag_id: str, run_id: str, name: str, seconds: float, tasks: tuple[str, ...]) -> None:
    """Show a run's tasks until it has ended; raise an AirflowError when it did not succeed."""
    state = airflow.wait_for_run(dag_id, run_id, seconds, on_poll=partial(show_progress, name, tasks))
    states = airflow.task_states(dag_id, run_id)
    show_progress(name, tasks, states, end="\n")
    if state != "success":
        failed = ", ".join(task for task, outcome in states.items() if outcome == "failed")
        raise AirflowError(f"{name}: expected success, got {state} in {failed}; logs: {airflow.home / 'logs'}")


def wait_for_retraining(airflow: Airflow) -> None:
    """Wait until the run that the changed night asked for has ended."""
    dag_id, deadline = f"retrain_{COLLECTION}", time.monotonic() + NIGHT_SECONDS
    while not (runs := airflow.request("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]):
        airflow.check_alive()
        if time.monotonic() > deadline:
            raise AirflowError(f"{dag_id}: expected a run that {CHANGED_NIGHT} asked for, got none")
        time.sleep(0.5)
    wait_for(airflow, dag_id, runs[0]["dag_run_id"], "retraining", RETRAIN_SECONDS, RETRAIN_TASKS)


def roll_back(airflow: Airflow) -> None:
    """Trigger the rollback, as an operator would in the UI, and wait until the last night is scored again."""
    # The old champion will ask for a new model at once; the demo ends here.
    airflow.request("PATCH", f"/dags/retrain_{COLLECTION}", {"is_paused": True})
    started = time.monotonic()
    form = {"reason": "the demo shows the way back", "rescore": True}
    run_id = airflow.trigger(f"rollback_{COLLECTION}", form)
    tasks = ("roll_back", "find_last_night", "score_again")
    wait_for(airflow, f"rollback_{COLLECTION}", run_id, "rollback", NIGHT_SECONDS, tasks)
    again = f"rollback__{run_id}"
    wait_for(airflow, f"nightly_{COLLECTION}", again, LATER_NIGHT, NIGHT_SECONDS, NIGHTLY_TASKS)
    say(f"{time.monotonic() - started:.0f} s after the rollback was asked for, the old champion has scored the night")


def show_progress(name: str, tasks: tuple[str, ...], states: dict[str, str | None], end: str = "") -> None:
    """Print one line that the next one overwrites: a name and a mark for each task."""
    marks = {"success": "+", "running": ">", "failed": "x", "upstream_failed": "x", "skipped": "-"}
    line = "  ".join(f"{marks.get(states.get(task) or '', '.')} {task}" for task in tasks)
    if sys.stdout.isatty() or end:
        print(f"\r  {name:<11} {line}", end=end, flush=True)


def show_nights(nights: list[NightRow]) -> None:
    """Print a line for each night."""
    print(f"\n  {'night':<12}{'model':>6}{'scored':>8}{'quarantined':>13}{'anomalous':>11}{'rate':>9}   decision")
    for row in nights:
        rate = f"{row.anomaly_rate:.1%}" if row.anomaly_rate is not None else "-"
        counts = f"{row.model_version:>6}{row.scored:>8}{row.quarantined:>13}{row.anomalous:>11}{rate:>9}"
        print(f"  {row.night:<12}{counts}   {row.decision}")
    print(f"\n  {nights[-1].night}: {nights[-1].sentence}\n")


def show_retraining(retraining: Retraining) -> None:
    """Print the gates, and what came of them."""
    print()
    for gate in retraining.gates:
        print(f"  {'+' if gate.passed else 'x'} {gate.title}: {gate.why}")
    print(f"\n  Version {retraining.challenger_version} {retraining.outcome}. {retraining.sentence}")
    print(f"  Gate report   {retraining.folder_url}/report.html")
    print(f"  Model card    {retraining.folder_url}/card.html\n")


def show_history(history: list[PromotionEvent], nights: list[NightRow], settings: Settings) -> None:
    """Print who was champion, the last night, and where to look."""
    print(f"\n  {'at':<22}{'event':<13}{'version':<9}by          reason")
    for event in reversed(history):
        print(f"  {event.at[:19]:<22}{event.event:<13}{event.version:<9}{event.by:<12}{event.reason[:60]}")
    show_nights(nights)
    print(f"  Reports       {nights[0].report_url}, and those of the other nights beside it")
    print(f"  Results       {settings.database_url} (views nights, decisions, retrainings, gates, model_history)")
    print("  Airflow's UI  make up\n")


def check_decision(row: NightRow, version: str, expected: set[str]) -> None:
    """Raise an AirflowError unless this version decided as expected."""
    if row.model_version != version or str(row.decision) not in expected:
        wanted = f"{' or '.join(sorted(expected))} by version {version}"
        raise AirflowError(f"{row.night}: expected {wanted}, got {row.decision} by version {row.model_version}")


def check_story(before: list[NightRow], retraining: Retraining, after: list[NightRow]) -> None:
    """Raise an AirflowError unless every step of the story came out as it should.

    Args:
        before: The nights before the rollback.
        retraining: What the changed night led to.
        after: The last night, scored again.
    """
    champion, challenger = retraining.champion_version, retraining.challenger_version or "none"
    rows = {row.night: row for row in before}
    missing = [night for night in (*QUIET_NIGHTS, CHANGED_NIGHT, LATER_NIGHT) if night not in rows]
    if missing:
        raise AirflowError(f"expected every night, got none for {', '.join(missing)}")
    for night in QUIET_NIGHTS:
        check_decision(rows[night], champion, {"ok", "watch"})
    check_decision(rows[CHANGED_NIGHT], champion, {"retrain"})
    if retraining.outcome != "promoted":
        raise AirflowError(f"expected the challenger to be promoted, got {retraining.outcome}: {retraining.sentence}")
    check_decision(rows[LATER_NIGHT], challenger, {"ok", "watch"})
    check_decision(after[0], champion, {"retrain"})


def say(text: str) -> None:
    """Print a step with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)


def read_nights(settings: Settings) -> list[NightRow]:
    """Return the nights, oldest first."""
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        return store.list_nights(COLLECTION)[::-1]


def tell_story(airflow: Airflow, collection: Collection, settings: Settings) -> None:
    """Run the nights, the retraining and the rollback one after the other, and show each."""
    airflow.make_pool(collection.scoring.pool, slots=1)
    for dag_id in (f"nightly_{COLLECTION}", f"retrain_{COLLECTION}", f"rollback_{COLLECTION}"):
        airflow.wait_for_dag(dag_id)
    say(f"Airflow scores the nights (DAG nightly_{COLLECTION}, {airflow.url})")
    for night in (*QUIET_NIGHTS, CHANGED_NIGHT):
        run_night(airflow, night)
    show_nights(read_nights(settings))
    say(f"{CHANGED_NIGHT} asked for a new model: Airflow started retrain_{COLLECTION}")
    wait_for_retraining(airflow)
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        retraining = store.list_retrainings(COLLECTION)[0]
    show_retraining(retraining)
    say("The next night is scored by the new champion")
    run_night(airflow, LATER_NIGHT)
    before = read_nights(settings)
    show_nights(before[-1:])
    say("An operator does not trust it and rolls back")
    roll_back(airflow)
    after = read_nights(settings)[-1:]
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        show_history(store.model_history(COLLECTION), after, settings)
    check_story(before, retraining, after)


def main() -> None:
    """Lay out the nights, fit the champion, and let Airflow tell the story."""
    settings = read_settings()
    collection_file = settings.collections_dir / f"{COLLECTION}.yaml"
    collection = read_collection(collection_file)
    images = settings.home / "demo" / "images" / COLLECTION
    if is_told(settings):
        say("The story was told before; remove NIGHTGLASS_HOME for a fresh start. What came of it:")
        with Store.connect(settings.database_url, settings.sql_dir) as store:
            show_retraining(store.list_retrainings(COLLECTION)[0])
            show_history(store.model_history(COLLECTION), store.list_nights(COLLECTION)[::-1], settings)
        return
    say(f"Laying out nights of solar cells in {images}")
    lay_out(images)
    fit_champion(collection, collection_file, settings, images / TRAINING)
    say("Starting Airflow: scheduler, DAG processor, API server")
    with running_airflow(settings.home / "airflow", free_port()) as airflow:
        tell_story(airflow, collection, settings)
        say("Stopping Airflow")
    say("Done; nothing is left running")


def is_told(settings: Settings) -> bool:
    """Tell whether an earlier run came to the rollback."""
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        return any(event.event == "rolled_back" for event in store.model_history(COLLECTION))


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
