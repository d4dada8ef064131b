"""By when a night has to be published: Airflow watches the clock, and people are told once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference, SyncCallback

from nightglass.collections import Collection, read_collection
from nightglass.night.naming import name_night
from nightglass.settings import read_settings
from nightglass_airflow.connections import alert_urls
from nightglass_airflow.runs import name_run


def publish_deadlines(path: Path, collection: Collection) -> list[DeadlineAlert] | None:
    """Return the deadline of a collection's nights, told by whoever comes first; None where its file has none.

    It counts from the logical date: a run by hand has none, and whoever started it looks themselves. (By
    DAGRUN_QUEUED_AT, Airflow 3.3.2 fails to clear a run whose deadline is still to come.)

    Two may tell, and the log of alerts lets one: the triggerer needs no worker, and Airflow 3.3.2 gives connections of
    its database to it alone; an executor tells where there is no triggerer, and for addresses of the environment.
    """
    within = collection.alerts.publish_within(collection.schedule)
    if within is None:
        return None
    known = {"collection_file": str(path)}
    tellers = {
        "executor": SyncCallback(tell_missed_deadline, known),
        "triggerer": AsyncCallback(tell_from_triggerer, known),
    }
    return [
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
            interval=within,
            callback=callback,
            name=f"published, told by the {name}",
        )
        for name, callback in tellers.items()
    ]


async def tell_from_triggerer(collection_file: str, context: Mapping[str, Any]) -> None:
    """Do the same beside the triggerer's own work, which must not wait for a mail server."""
    await asyncio.to_thread(tell_missed_deadline, collection_file, context)


def tell_missed_deadline(collection_file: str, context: Mapping[str, Any]) -> None:
    """Tell the collection's people that a night is not published, if it is not."""
    from nightglass.alerting import audience_of
    from nightglass.alerting.deadline import tell_if_unpublished

    collection = read_collection(Path(collection_file))
    run = context["dag_run"]
    moment = _moment(run["logical_date"] or run["run_after"])
    asked = (run.get("conf") or {}).get("night")
    tell_if_unpublished(
        collection=collection.name,
        night=name_night(collection, str(asked) if asked else None, moment),
        due=_moment(context["deadline"]["deadline_time"]).astimezone(ZoneInfo(collection.timezone)),
        queued_at=_moment(run["queued_at"] or run["run_after"]),
        state=str(run["state"]),
        run_url=name_run(run["dag_id"], run["dag_run_id"]),
        audience=audience_of(collection, alert_urls(collection) if collection.alerts.tells("deadline") else ()),
        settings=read_settings(),
    )


def _moment(value: datetime | str) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)
