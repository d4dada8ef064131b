"""Scores nights of a collection again with another version, beside what was decided at the time.

**Purpose.** One DAG `backfill_<collection>` for each file in the collections' folder. By hand only: it shows what
another registered version would have said of nights that were decided already.

**Inputs.** The form: the first and the last night, which version, and how many nights at once. What the nightly DAG
left in the nights' folders, and the images, where they are still there.

**Outputs.** A folder `rescored/<version>` below each night's, with the version's scores, and a row a night in the view
`rescored_nights`: both rates, both decisions, how far the two agree. The pages of the night and of the models show
them. What was published at the time stays as it is; a night whose images are gone is skipped, and its reason told.

**Idempotent.** A night that was scored already costs nothing. After a failure, clear the red task, or start it again:
what was done is kept.

A red task: see `docs/runbook.md`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, chain, task

from nightglass.collections import Collection, read_collection
from nightglass.settings import read_settings
from nightglass_airflow.backfill_runs import backfill_form
from nightglass_airflow.collection_files import read_collections
from nightglass_airflow.connections import storage_options
from nightglass_airflow.failures import default_arguments


@task(execution_timeout=timedelta(hours=1))
def plan_nights(collection_file: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Find the nights that are to be scored, and deal them out: so many at once as the form says."""
    from nightglass.backfill.lanes import plan_lanes

    options = storage_options(read_collection(Path(collection_file)))
    return plan_lanes(collection_file, **dict(params), storage_options=options)


@task(execution_timeout=timedelta(hours=12))
def score_nights(lane: dict[str, Any]) -> dict[str, int | float]:
    """Score the nights of one lane, one after the other; one that was cut off goes on at its first missing shard."""
    from nightglass.backfill.records import BackfillPlan
    from nightglass.backfill.scoring import score_lane

    options = storage_options(read_collection(Path(lane["collection_file"])))
    return score_lane(BackfillPlan(**lane), storage_options=options)


@task(execution_timeout=timedelta(hours=1))
def compare_nights(lanes: list[dict[str, Any]]) -> dict[str, Any]:
    """Decide every night as the version would have, in their order, and write the rows of `rescored_nights`."""
    from nightglass.backfill.lanes import judge_lanes

    options = storage_options(read_collection(Path(lanes[0]["collection_file"])))
    return judge_lanes(lanes, storage_options=options).model_dump(mode="json", exclude={"nights"})


def build_dag(path: Path, collection: Collection) -> DAG:
    """Wire the backfill DAG of one collection."""
    with DAG(
        dag_id=f"backfill_{collection.name}",
        description=f"Scores nights of {collection.name} again with another version",
        doc_md=__doc__,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(collection),
        params=backfill_form(collection),
        tags={"nightglass", "backfill"},
    ) as dag:
        lanes = plan_nights(str(path))
        where = {"pool": collection.scoring.pool, "queue": collection.scoring.queue}
        mapped = score_nights.override(**where, doc_md=score_nights.function.__doc__)
        chain(mapped.expand(lane=lanes), compare_nights(lanes))
    return dag


# A broken file has a DAG of its own that says so: see nightly.py.
sound_files, _ = read_collections(read_settings().collections_dir)
for file, file_collection in sound_files.items():
    build_dag(file, file_collection)
