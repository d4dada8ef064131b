"""What one run of a nightly DAG is about: its night, its form, and how long it waits."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow.sdk import Param
from airflow.sdk.types import DagRunProtocol

from nightglass.collections import Collection
from nightglass.errors import FolderIncompleteError
from nightglass.night.naming import name_night
from nightglass.settings import read_settings


def trigger_form(collection: Collection) -> dict[str, Param]:
    """Return the fields of the form that the Airflow UI shows for a run by hand; all are optional."""
    return {
        "night": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Night",
            section="Which images",
            description_md="Date of the night. Empty: the one that a scheduled run would take.",
        ),
        "images_url": Param(
            None,
            type=["null", "string"],
            minLength=1,
            title="Folder instead of the usual one",
            section="Which images",
            description_md=f"Local folder or `s3://` address. Empty: `{collection.images}`",
        ),
        "top_k": Param(
            collection.scoring.top_k,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Anomalies in the report",
            section="How",
            description_md="How many of the highest image scores get an anomaly map and a place in it.",
        ),
        "rescore": Param(
            False,
            type="boolean",
            title="Score again",
            section="How",
            description_md="Score every image anew, even where scores of the same model and images exist.",
        ),
    }


def night_of(collection: Collection, run: DagRunProtocol, params: Mapping[str, Any]) -> str:
    """Return the night (``YYYY-MM-DD``) that a run is about."""
    asked = params.get("night")
    # A run that was triggered by hand or by an asset may have no logical date.
    return name_night(collection, str(asked) if asked else None, run.logical_date or run.run_after)


def name_run(dag_id: str, run_id: str) -> str:
    """Return the address of a run in Airflow's UI."""
    return f"{read_settings().ui_url.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def check_deadline(collection: Collection, run: DagRunProtocol, night: str, reason: str) -> None:
    """Give up on a folder that is still incomplete after the collection's deadline.

    Raises:
        FolderIncompleteError: The run was due longer ago than the deadline allows.
    """
    hours = collection.ready.deadline_hours
    if datetime.now(UTC) - run.run_after >= timedelta(hours=hours):
        raise FolderIncompleteError(
            f"{collection.name} {night}: expected a complete folder within {hours:g} hours"
            f" of {run.run_after:%Y-%m-%d %H:%M} UTC, got: {reason}"
        )
