"""Goes back to an earlier champion of a collection, with a reason.

**Purpose.** One DAG `rollback_<collection>` for each file in the collections' folder. By hand only: it makes a
version that was champion before the champion again, and scores the last night with it where that is asked for.

**Inputs.** The form: which version (empty: the one that the champion replaced), why, and whether to score the
last night again. The promotion log, and the registered model.

**Outputs.** One entry in the promotion log (the view `model_history`) with the reason and the user who triggered
the run, MLflow's alias `champion`, an event of the asset `champion_<collection>`, and where it was asked for a run
of `nightly_<collection>`.

**Idempotent.** A task that runs again finds its entry in the log: it moves the alias where that is still to be
done, and changes nothing else. The nightly run is triggered once.

A red task: see `docs/runbook.md`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, chain, task
from airflow.sdk.types import DagRunProtocol, OutletEventAccessorsProtocol

from nightglass.collections import Collection, read_collection
from nightglass.settings import read_settings
from nightglass_airflow.champions import champion_asset, name_person, rollback_form
from nightglass_airflow.collection_files import read_collections
from nightglass_airflow.failures import default_arguments
from nightglass_airflow.notices import tell_rollback


@task(execution_timeout=timedelta(minutes=10))
def roll_back(
    collection_file: str,
    params: Mapping[str, Any],
    dag_run: DagRunProtocol,
    outlet_events: OutletEventAccessorsProtocol,
) -> dict[str, object]:
    """Make the version of the form the champion again: an entry in the promotion log, MLflow's alias, and an alert."""
    from nightglass import promotion

    collection = read_collection(Path(collection_file))
    done = promotion.roll_back(
        collection,
        params["version"] or None,
        read_settings(),
        by=name_person(dag_run),
        reason=params["reason"],
        run=dag_run.run_id,
    )
    outlet_events[champion_asset(collection)].extra = done.entry.model_dump()
    tell_rollback(collection, done, dag_run.run_id)
    return done.model_dump()


@task.short_circuit(execution_timeout=timedelta(minutes=10))
def find_last_night(collection_file: str, params: Mapping[str, Any]) -> dict[str, object] | None:
    """Return the form of a nightly run that scores the last night again; None, and no run, where nobody asked."""
    from nightglass.night.again import find_last_night

    collection = read_collection(Path(collection_file))
    return find_last_night(collection, read_settings()) if params["rescore"] else None


def build_dag(path: Path, collection: Collection) -> DAG:
    """Wire the rollback DAG of one collection."""
    with DAG(
        dag_id=f"rollback_{collection.name}",
        description=f"Goes back to an earlier champion of {collection.name}",
        doc_md=__doc__,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(collection),
        params=rollback_form(),
        tags={"nightglass", "rollback"},
    ) as dag:
        night = find_last_night(str(path))
        score_again = TriggerDagRunOperator(
            task_id="score_again",
            doc_md="Trigger the nightly DAG with the last night, once however often this task runs.",
            trigger_dag_id=f"nightly_{collection.name}",
            trigger_run_id="rollback__{{ run_id }}",
            logical_date=None,
            conf=night,
            skip_when_already_exists=True,
            fail_when_dag_is_paused=True,
            execution_timeout=timedelta(minutes=10),
        )
        chain(roll_back.override(outlets=[champion_asset(collection)])(str(path)), night, score_again)
    return dag


# A broken file has a DAG of its own that says so: see nightly.py.
sound_files, _ = read_collections(read_settings().collections_dir)
for file, file_collection in sound_files.items():
    build_dag(file, file_collection)
