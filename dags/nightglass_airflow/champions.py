"""What is told when a collection's champion changes, and who changed it."""

from airflow.sdk import Asset
from airflow.sdk.types import DagRunProtocol

from nightglass.collections import Collection


def champion_asset(collection: Collection) -> Asset:
    """Return the asset whose events say that a collection has another champion.

    A task that is run again tells it again, so that no change goes untold; its ``extra`` names the version.
    """
    return Asset(f"champion_{collection.name}")


def name_person(run: DagRunProtocol) -> str:
    """Return who triggered a run; ``airflow`` where Airflow does not know."""
    return run.triggering_user_name or "airflow"
