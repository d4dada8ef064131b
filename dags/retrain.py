"""Fits a challenger on recent nights, proves it against the champion, and promotes it where it is better.

**Purpose.** One DAG `retrain_<collection>` for each file in the collections' folder. A night whose decision is
`retrain` starts it (unless `retraining.automatic` is false); anybody may start it by hand.

**Inputs.** The recent nights' images and scores, analysts' verdicts, the champion with the record of what it was
fitted on, and the form.

**Outputs.** A folder of the retraining (training images, frozen images, figures, gates, `report.html`, model card),
a new version of the registered model, rows behind the views `retrainings` and `gates`, and, when every gate was
met and nobody objected, an entry in the promotion log, MLflow's alias `champion` and an event of the asset
`champion_<collection>`.

**Idempotent.** A step that runs again finds what it did: the challenger is fitted and promoted once.

A red task: see `docs/runbook.md`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, PokeReturnValue, chain, task
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.types import DagRunProtocol, OutletEventAccessorsProtocol

from nightglass.collections import Collection, read_collection
from nightglass.settings import read_settings
from nightglass_airflow.champions import champion_asset
from nightglass_airflow.collection_files import read_collections
from nightglass_airflow.connections import people, storage_options
from nightglass_airflow.failures import default_arguments
from nightglass_airflow.retrain_runs import ask_person, read_answer, read_request, retrain_form
from nightglass_airflow.retraining import look_at_shadow, promote_or_skip, retrain_requests

_STEPS = {
    "shadow": "shadow_challenger",
    "approve": "approve",
    "promote": "promote_challenger",
    "conclude": "conclude",
}


@task(execution_timeout=timedelta(hours=2))
def take_snapshot(
    collection_file: str, params: Mapping[str, Any], dag_run: DagRunProtocol, triggering_asset_events: Mapping[Any, Any]
) -> dict[str, Any]:
    """Choose the training images and the frozen images from recent nights, verdicts and the champion's own images."""
    from nightglass.retraining import flow

    collection = read_collection(Path(collection_file))
    request = read_request(params, dag_run, triggering_asset_events)
    plan = flow.snapshot(collection_file, request, storage_options=storage_options(collection))
    if plan is None:
        raise AirflowSkipException(
            f"{collection.name}: the model that {request.reason!r} was about is champion no more"
        )
    return plan.model_dump()


@task(execution_timeout=timedelta(hours=6))
def fit_challenger(plan: dict[str, Any]) -> dict[str, Any]:
    """Fit the challenger on the snapshot and register it as the next version of the model."""
    from nightglass.retraining.flow import RetrainPlan, fit

    collection = read_collection(Path(plan["collection_file"]))
    return fit(RetrainPlan(**plan), storage_options=storage_options(collection)).model_dump()


@task(execution_timeout=timedelta(hours=3))
def evaluate_models(plan: dict[str, Any]) -> dict[str, object]:
    """Measure champion and challenger on the same frozen images: detection, false alarms, slices, cost."""
    from nightglass.retraining.flow import RetrainPlan, evaluate

    collection = read_collection(Path(plan["collection_file"]))
    return evaluate(RetrainPlan(**plan), storage_options=storage_options(collection))


@task(execution_timeout=timedelta(minutes=30))
def judge_challenger(plan: dict[str, Any]) -> dict[str, object]:
    """Judge every gate and write the gate report."""
    from nightglass.retraining import flow

    collection = read_collection(Path(plan["collection_file"]))
    return flow.judge_challenger(flow.RetrainPlan(**plan), storage_options=storage_options(collection))


@task.branch(execution_timeout=timedelta(minutes=10))
def choose_next(judged: dict[str, Any]) -> str:
    """Go on to the shadow, to a person, to the promotion, or to the end."""
    return _STEPS[judged["next"]]


# It looks for weeks, and every look may be killed.
@task.sensor(mode="reschedule", execution_timeout=timedelta(minutes=30), retries=50)
def shadow_challenger(plan: dict[str, Any]) -> PokeReturnValue:
    """Wait until the challenger has scored enough nights beside the champion, then judge it by them."""
    judged = look_at_shadow(plan)
    return PokeReturnValue(is_done=judged is not None, xcom_value=judged)


# Where nobody is asked, the approval is skipped.
@task(execution_timeout=timedelta(minutes=30), trigger_rule="none_failed_min_one_success")
def promote_challenger(
    plan: dict[str, Any], answer: dict[str, Any] | None, outlet_events: OutletEventAccessorsProtocol
) -> dict[str, Any]:
    """Make the challenger the champion: an entry in the promotion log, then MLflow's alias."""
    approval = read_answer(answer)
    if approval and not approval.approved:
        raise AirflowSkipException(f"rejected by {approval.by or 'nobody: no answer in time'}")
    collection = read_collection(Path(plan["collection_file"]))
    # An approval that somebody marked as done without an answer is none.
    by = approval and (approval.by or "somebody without a name")
    done = promote_or_skip(plan, by, storage_options(collection))
    outlet_events[champion_asset(collection)].extra = done.entry.model_dump()
    return done.model_dump()


# Whatever came of it, it is written down.
@task(execution_timeout=timedelta(minutes=30), trigger_rule="none_failed_min_one_success")
def conclude(plan: dict[str, Any], answer: dict[str, Any] | None, promoted: dict[str, Any] | None) -> dict[str, Any]:
    """Write the model card and the rows, and tell people what came of the retraining."""
    from nightglass.retraining import flow

    collection = read_collection(Path(plan["collection_file"]))
    return flow.conclude(
        flow.RetrainPlan(**plan),
        promoted=promoted is not None,
        approval=read_answer(answer),
        storage_options=storage_options(collection),
        **people(collection),
    ).model_dump()


def build_dag(path: Path, collection: Collection) -> DAG:
    """Wire the retraining DAG of one collection."""
    options = collection.retraining
    with DAG(
        dag_id=f"retrain_{collection.name}",
        description=f"Proves and promotes a new model of {collection.name}",
        doc_md=__doc__,
        schedule=[retrain_requests(collection.name)] if options.automatic else None,
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(collection),
        params=retrain_form(collection),
        tags={"nightglass", "retrain"},
    ) as dag:
        plan = take_snapshot(str(path))
        where = {"pool": collection.scoring.pool, "queue": collection.scoring.queue}
        fitted = fit_challenger.override(**where, doc_md=fit_challenger.function.__doc__)(plan)
        evaluate = evaluate_models.override(**where, doc_md=evaluate_models.function.__doc__)
        judged = judge_challenger(fitted)
        approve = ask_person(collection, "shadow_challenger" if options.shadow.nights else "judge_challenger")
        promote = promote_challenger.override(
            outlets=[champion_asset(collection)], doc_md=promote_challenger.function.__doc__
        )
        promoted = promote(fitted, approve.output)
        concluded = conclude(fitted, approve.output, promoted)
        ends = [approve, promoted, concluded]
        chain(evaluate(fitted), judged, chosen := choose_next(judged), ends)
        if options.shadow.nights:
            wait = {
                "poke_interval": 10 * collection.ready.poll_seconds,
                "timeout": timedelta(days=options.shadow.max_days + 2),
            }
            shadowed = shadow_challenger.override(**wait, doc_md=shadow_challenger.function.__doc__)(fitted)
            # From both branches: what neither leads to is skipped.
            choose = choose_next.override(task_id="choose_after_shadow", doc_md=choose_next.function.__doc__)
            chain(chosen, shadowed, choose(shadowed), ends)
    return dag


# A broken file has a DAG of its own that says so: see nightly.py.
sound_files, _ = read_collections(read_settings().collections_dir)
for file, file_collection in sound_files.items():
    build_dag(file, file_collection)
