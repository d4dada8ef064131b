"""The form of a run of a backfill DAG."""

from typing import Any

from airflow.sdk import Param

from nightglass.backfill.records import MAX_LANES
from nightglass.collections import Collection


def backfill_form(collection: Collection) -> dict[str, Param]:
    """Return the fields of the form that the Airflow UI shows; the range and the version must be given."""
    night: dict[str, Any] = {"type": "string", "format": "date", "section": "Which nights"}
    return {
        "since": Param(title="First night", description_md="Date of the first night.", **night),
        "until": Param(
            title="Last night",
            description_md="Date of the last night, which counts; nights between were published.",
            **night,
        ),
        "version": Param(
            type="string",
            pattern="^(champion|[1-9][0-9]{0,8})$",
            title="Version",
            section="With which model",
            description_md=f"Any registered version of `{collection.model_name}`: `nightglass models list` shows them. "
            "`champion`: the present one.",
        ),
        "parallel": Param(
            1,
            type="integer",
            minimum=1,
            maximum=MAX_LANES,
            title="Nights at once",
            section="How",
            description_md=f"Each holds a slot of the pool `{collection.scoring.pool}` until its nights are through: "
            "leave some to the nightly run.",
        ),
    }
