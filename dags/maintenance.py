"""Keeps Nightglass going: deletions, retention, compaction and a backup, every day.

**Purpose.** One DAG for all collections. It brings deletions that people asked for to their end, removes what the
collections' files say is too old and what killed runs left behind, lets the databases give up unused room, and backs
up results and MLflow.

**Inputs.** The collections' files (`retention`), the nights' folders, results and MLflow; `NIGHTGLASS_BACKUP_URL` and
`NIGHTGLASS_BACKUP_KEEP_DAYS`. By hand, the form says which parts run, for which collection, and whether they only
say what they would do.

**Outputs.** Fewer files; the pages of a night say what was removed of it. A backup with a manifest. What stays though
it is old is in the log of `tidy_collection`, with the reason.

**Idempotent.** Every part may run again at any time. While it rewrites nights of a collection none is begun; nights in
work are left alone until the next day.

A red task: see `docs/runbook.md`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, chain, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from nightglass.collections import read_collection
from nightglass.settings import read_settings
from nightglass_airflow.collection_files import read_collections
from nightglass_airflow.connections import storage_options
from nightglass_airflow.failures import default_arguments
from nightglass_airflow.maintenance import choose_files, idleness, maintenance_form


@task(execution_timeout=timedelta(minutes=10))
def find_collections(files: list[str], params: Mapping[str, Any]) -> list[str]:
    """Return the files of the collections that are tidied."""
    return choose_files(files, params)


@task(execution_timeout=timedelta(hours=6), map_index_template="{{ collection_name }}")
def tidy_collection(collection_file: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Go on with deletions, and remove what is too old or was left behind; say what stays and why."""
    from nightglass.maintenance.upkeep import tidy_collection

    context, collection = get_current_context(), read_collection(Path(collection_file))
    context["collection_name"] = collection.name
    tidied = tidy_collection(
        collection,
        read_settings(),
        storage_options=storage_options(collection),
        is_idle=idleness(context["ti"], collection),
        dry_run=params["dry_run"],
    )
    # The nights themselves are in the log: over the years there are many.
    counts = {"removed": len(tidied.removed), "kept": len(tidied.kept)}
    return tidied.model_dump(mode="json", exclude=set(counts)) | counts


@task(execution_timeout=timedelta(hours=2), trigger_rule="all_done")
def compact_databases(params: Mapping[str, Any]) -> dict[str, Any]:
    """Let the databases give up unused room, and remove old temporary files of this machine."""
    from nightglass.maintenance.upkeep import compact

    if not params["compact"]:
        raise AirflowSkipException("the form leaves it out")
    return compact(read_settings(), dry_run=params["dry_run"]).model_dump(mode="json")


@task(execution_timeout=timedelta(hours=6), trigger_rule="all_done")
def back_up(params: Mapping[str, Any]) -> dict[str, Any]:
    """Back up results and MLflow, and remove backups that are too old."""
    from nightglass.maintenance.backup import write_nightly_backup

    settings = read_settings()
    if not params["back_up"] or params["dry_run"] or not settings.backup_url:
        raise AirflowSkipException("the form leaves it out, or NIGHTGLASS_BACKUP_URL says nowhere")
    return write_nightly_backup(settings).model_dump(mode="json")


def build_dag(files: list[str], names: list[str]) -> DAG:
    """Wire the maintenance DAG."""
    with DAG(
        dag_id="nightglass_maintenance",
        description="Deletions, retention, compaction and backup",
        doc_md=__doc__,
        schedule="30 11 * * *",
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(None),
        params=maintenance_form(names),
        tags={"nightglass", "maintenance"},
    ) as dag:
        # One collection at a time: the stores are everybody's.
        one_by_one = tidy_collection.override(max_active_tis_per_dagrun=1, doc_md=tidy_collection.function.__doc__)
        tidied = one_by_one.expand(collection_file=find_collections(files))
        chain(tidied, compact_databases(), back_up())
    return dag


# A broken file has a DAG of its own that says so: see nightly.py.
sound_files, _ = read_collections(read_settings().collections_dir)
build_dag([str(file) for file in sound_files], [collection.name for collection in sound_files.values()])
