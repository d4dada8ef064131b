"""Scores the images that a collection got last night and says whether its model still fits them.

**Purpose.** One DAG `nightly_<collection>` for each file in the collections' folder. Every night it waits for
the night's folder, checks the data, scores every image with the champion, compares the night with what the
champion expects, and publishes results, a report and a decision: `ok`, `watch`, `retrain` or `hold`.

**Inputs.** The night's folder (local or S3), the collection's YAML file, the registered model's alias
`champion`.

**Outputs.** The night's score folder (Parquet, FAISS, anomaly maps, `report.html`), rows behind the views
`nights`, `top_anomalies` and `decisions`, an MLflow run, alerts, and, only when the decision is `retrain`, an
event of the asset `retrain_requests_<collection>` with night, model version and reasons. While a challenger shadows the
champion (`retraining.shadow`), what it makes of the same images, in the report and the view `shadow_nights`.

**Idempotent.** A second run of the same night finds its finished shards and changes no row. After a failure,
clear the red task: what was done is kept.

A red task: see `docs/runbook.md`.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import (
    DAG,
    CronTriggerTimetable,
    PokeReturnValue,
    chain,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import InletEventsAccessors
from airflow.sdk.types import DagRunProtocol, OutletEventAccessorsProtocol

from nightglass.collections import Collection, read_collection
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings
from nightglass_airflow.collection_files import broken_dag_ids, read_collections
from nightglass_airflow.connections import people, storage_options
from nightglass_airflow.deadlines import publish_deadlines
from nightglass_airflow.failures import default_arguments
from nightglass_airflow.retraining import RETRAIN_DECISION, request_retraining, retrain_requests
from nightglass_airflow.runs import check_deadline, night_of, trigger_form

log = logging.getLogger(__name__)


@task.sensor(mode="reschedule", execution_timeout=timedelta(hours=1))
def list_images(collection_file: str, params: Mapping[str, Any], dag_run: DagRunProtocol) -> PokeReturnValue:
    """Wait until the night's folder is complete, then write its manifest and fix the night's plan."""
    from nightglass.night import flow

    collection = read_collection(Path(collection_file))
    night, storage = night_of(collection, dag_run, params), storage_options(collection)
    folder = params["images_url"] or None
    reason = flow.reason_to_wait(collection_file, night, images_url=folder, storage_options=storage)
    if reason:
        check_deadline(collection, dag_run, night, reason)
        log.info("Waiting for %s %s: %s", collection.name, night, reason)
        return PokeReturnValue(is_done=False)
    plan = flow.list_night(
        collection_file,
        night,
        images_url=folder,
        top_k=params["top_k"],
        rescore=params["rescore"],
        storage_options=storage,
    )
    return PokeReturnValue(is_done=True, xcom_value=plan.model_dump())


@task(execution_timeout=timedelta(hours=1))
def validate_images(plan: dict[str, Any]) -> list[int]:
    """Check the night's data; unreadable images go to quarantine, a critical failure stops the night.

    Returns the numbers of the shards to score.
    """
    from nightglass.night.flow import NightPlan, validate_night

    collection = read_collection(Path(plan["collection_file"]))
    return validate_night(NightPlan(**plan), storage_options=storage_options(collection), **people(collection))


@task(execution_timeout=timedelta(hours=3), map_index_template="{{ shard_of_shards }}")
def score_shard(plan: dict[str, Any], shard: int) -> dict[str, int | float | str | None]:
    """Score one shard of the night with the champion; a shard that died half-way goes on where it was."""
    from nightglass.night.flow import NightPlan, score_night_shard

    get_current_context()["shard_of_shards"] = f"shard {shard + 1} of {plan['shards']}"
    collection = read_collection(Path(plan["collection_file"]))
    return score_night_shard(NightPlan(**plan), shard, storage_options=storage_options(collection))


# A night whose scores are all there has no shard to score, which must not skip the rest.
@task(execution_timeout=timedelta(hours=2), trigger_rule="none_failed")
def assess_night(plan: dict[str, Any]) -> dict[str, object]:
    """Put the shards together: top anomalies, anomaly rate, drift against the baseline, and the decision."""
    from nightglass.night import flow

    collection = read_collection(Path(plan["collection_file"]))
    return flow.assess_night(flow.NightPlan(**plan), storage_options=storage_options(collection))


@task(execution_timeout=timedelta(minutes=30), outlets=[RETRAIN_DECISION])
def publish_night(
    plan: dict[str, Any], inlet_events: InletEventsAccessors, outlet_events: OutletEventAccessorsProtocol
) -> dict[str, object]:
    """Write rows, MLflow run and report, tell people, and ask for a retraining where the decision says so."""
    from nightglass.night import flow

    collection = read_collection(Path(plan["collection_file"]))
    options = storage_options(collection)
    published = flow.publish_night(flow.NightPlan(**plan), storage_options=options, **people(collection))
    request_retraining(plan, published, inlet_events, outlet_events)
    return published


# The last task: when it fails, the night is published all the same. Tried again once: the next night waits for it.
@task(execution_timeout=timedelta(hours=3), retries=1)
def shadow_night(plan: dict[str, Any]) -> dict[str, object]:
    """Score the night with the challenger that shadows the champion, if one does, and compare the two."""
    from nightglass.night import shadow
    from nightglass.night.plan import NightPlan

    options = storage_options(read_collection(Path(plan["collection_file"])))
    done = shadow.shadow_night(NightPlan(**plan), storage_options=options)
    if isinstance(done, str):
        raise AirflowSkipException(done)
    return done


@task(retries=0)
def read_collection_file(message: str) -> None:
    """Fail with what is wrong in the collection's file."""
    raise ConfigurationError(message)


def build_dag(path: Path, collection: Collection) -> DAG:
    """Wire the nightly DAG of one collection."""
    zone = collection.timezone
    with DAG(
        dag_id=f"nightly_{collection.name}",
        description=collection.description or f"Scores the nights of {collection.name}",
        doc_md=__doc__,
        schedule=CronTriggerTimetable(collection.schedule, timezone=zone) if collection.schedule else None,
        start_date=datetime.combine(collection.start_date, datetime.min.time(), ZoneInfo(zone)),
        catchup=collection.catchup,
        max_active_runs=1,
        deadline=publish_deadlines(path, collection),
        default_args=default_arguments(collection),
        params=trigger_form(collection),
        tags={"nightglass", "nightly"},
    ) as dag:
        ready = collection.ready
        wait = {"poke_interval": ready.poll_seconds, "timeout": timedelta(hours=ready.deadline_hours)}
        plan = list_images.override(**wait)(str(path))
        shards = validate_images(plan)
        where = {"pool": collection.scoring.pool, "queue": collection.scoring.queue}
        mapped = score_shard.override(**where, doc_md=score_shard.function.__doc__)
        scored = mapped.partial(plan=plan).expand(shard=shards)
        publish = publish_night.override(
            inlets=[retrain_requests(collection.name)], doc_md=publish_night.function.__doc__
        )
        published = publish(plan)
        chain(scored, assess_night(plan), published)
        if collection.retraining.shadow.nights:
            shadow = shadow_night.override(**where, doc_md=shadow_night.function.__doc__)
            chain(published, shadow(plan))
    return dag


def build_broken_dag(dag_id: str, message: str) -> DAG:
    """Wire the stand-in of a collection whose file cannot be read: red every day until it is mended."""
    with DAG(
        dag_id=dag_id,
        description="This collection's file is broken",
        doc_md=f"Its nights are not scored until the collection's file is mended:\n\n    {message}",
        schedule="@daily",
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(None),
        tags={"nightglass", "broken"},
    ) as dag:
        read_collection_file(message)
    return dag


sound_files, broken_files = read_collections(read_settings().collections_dir)
for file, file_collection in sound_files.items():
    build_dag(file, file_collection)
for file_dag_id, file_error in broken_dag_ids(sound_files, broken_files).items():
    build_broken_dag(file_dag_id, file_error)
