"""Sends a message about nothing to the people of a collection, to see whether alerts reach them.

**Purpose.** An Airflow connection knows the addresses (`alerts.connection` in the collection's file); here they are
tried without an incident. By hand only.

**Inputs.** The form: whose people. The collection's connection, or NIGHTGLASS_ALERT_URLS.

**Outputs.** One message to every address. A red run names the addresses that did not take it, by their place.

**Idempotent.** Every run sends the message again.

A red task: see `docs/alerts.md`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Param, task

from nightglass.collections import Collection
from nightglass.settings import read_settings
from nightglass_airflow.collection_files import read_collections
from nightglass_airflow.notices import try_people


@task(execution_timeout=timedelta(minutes=5))
def send_test(params: Mapping[str, Any]) -> int:
    """Send the message; fail where an address did not take it. Returns how many addresses did."""
    return try_people(params["collection"])


def build_dag(collections: list[Collection]) -> DAG:
    """Wire the DAG that tries the addresses."""
    names = sorted(collection.name for collection in collections)
    with DAG(
        dag_id="try_alerts",
        description="Sends a message about nothing to the people of a collection",
        doc_md=__doc__,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        params={
            "collection": Param(
                names[0],
                type="string",
                enum=names,
                title="Collection",
                section="Whose people",
                description_md="The addresses are those of its connection, or without one of NIGHTGLASS_ALERT_URLS.",
            )
        },
        # Whoever runs it sees what comes of it.
        default_args={"owner": "nightglass", "retries": 0},
        tags={"nightglass", "alerts"},
    ) as dag:
        send_test()
    return dag


sound_files, _ = read_collections(read_settings().collections_dir)
if sound_files:
    build_dag(list(sound_files.values()))
