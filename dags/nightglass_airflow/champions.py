"""What is told when a collection's champion changes, who changed it, and the form of a rollback."""

from airflow.sdk import Asset, Param
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


def rollback_form() -> dict[str, Param]:
    """Return the fields of the form that the Airflow UI shows."""
    return {
        "version": Param(
            "",
            type="string",
            pattern="^([1-9][0-9]{0,8})?$",
            title="Version",
            section="Back to which champion",
            description_md="A version that was champion before: `nightglass models history` lists them. "
            "Empty: the one that the present champion replaced.",
        ),
        "reason": Param(
            type="string",
            minLength=1,
            maxLength=2000,
            pattern=r"\S",
            title="Reason",
            section="Back to which champion",
            description_md="Why; the history keeps it.",
        ),
        "rescore": Param(
            False,
            type="boolean",
            title="Score the last night again",
            section="Then",
            description_md="Trigger the nightly DAG with the last night that was published.",
        ),
    }
