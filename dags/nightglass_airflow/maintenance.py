"""A run of the maintenance DAG: its form, which collections it is about, and whether anything else goes on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import Param
from airflow.sdk.types import RuntimeTaskInstanceProtocol

from nightglass.collections import Collection, read_collection

_ALL = "all"
#: Runs that write into the folders of a collection's nights.
_WRITERS = ("nightly", "backfill")


def maintenance_form(names: Sequence[str]) -> dict[str, Param]:
    """Return the fields of the form that the Airflow UI shows; a scheduled run has their defaults."""
    return {
        "collection": Param(_ALL, enum=[_ALL, *sorted(names)], title="Collection", section="What"),
        "tidy": Param(
            True,
            type="boolean",
            title="Deletions and retention",
            section="What",
            description_md="Go on with deletions; remove what `retention` in the collection's file says is too old.",
        ),
        "compact": Param(True, type="boolean", title="Compact databases", section="What"),
        "back_up": Param(True, type="boolean", title="Back up results and MLflow", section="What"),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            section="How",
            description_md="Only say what would be removed, and what stays and why. No backup.",
        ),
    }


def choose_files(files: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """Return the files of the collections that the form names; none where it leaves them out."""
    if not params["tidy"]:
        return []
    return [file for file in files if params["collection"] in {_ALL, read_collection(Path(file)).name}]


def idleness(ti: RuntimeTaskInstanceProtocol, collection: Collection) -> Callable[[], bool]:
    """Return what tells whether no run writes into the folders of a collection's nights now."""

    def is_idle() -> bool:
        runs = (ti.get_dr_count(dag_id=f"{kind}_{collection.name}", states=["running"]) for kind in _WRITERS)
        return not any(runs)

    return is_idle
