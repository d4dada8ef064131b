"""What a task that ended well adds to Airflow's statistics, made of what it returned."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import Context
from airflow.sdk.observability import stats

from nightglass.collections import Collection
from nightglass.engine.stage_times import WORKING_STAGES

#: How an image of a night ended, as publish_night returns it.
OUTCOMES = ("scored", "quarantined", "anomalous")


def success_counter(collection: Collection | None) -> Callable[[Context], None]:
    """Return the callback that counts what a task of the collection's DAGs did.

    Airflow calls it when the task has ended: neither it nor a StatsD that is away can fail the task.
    """
    tellers = {"score_shard": count_shard, "publish_night": count_night}

    def count_success(context: Context) -> None:
        """Count the shard or the night that the task was about."""
        ti = context["ti"]
        tell = tellers.get(ti.task_id)
        if collection is None or tell is None:
            return
        returned = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
        tell(collection.name, returned)

    return count_success


def count_shard(collection: str, shard: Mapping[str, Any]) -> None:
    """Count a shard's images and time it; one whose file was there already took no time and is left out."""
    tags = {"collection": collection}
    spent = {stage: shard[stage] for stage in WORKING_STAGES if stage in shard}
    if not spent:
        return
    stats.incr("nightglass.shard.images", shard["images"], tags=tags)
    stats.timing("nightglass.shard.duration", timedelta(seconds=shard["seconds"]), tags=tags)
    image = timedelta(seconds=sum(spent.values()) / shard["images"])
    stats.timing("nightglass.shard.image_duration", image, tags=tags)
    for stage, seconds in spent.items():
        stats.timing("nightglass.shard.stage_duration", timedelta(seconds=seconds), tags={**tags, "stage": stage})


def count_night(collection: str, night: Mapping[str, Any]) -> None:
    """Count a published night and its images by what became of them; one that changed nothing was counted before."""
    if not night["changed"]:
        return
    stats.incr("nightglass.nights", tags={"collection": collection, "decision": night["decision"]})
    for outcome in OUTCOMES:
        stats.incr("nightglass.images", night[outcome], tags={"collection": collection, "outcome": outcome})
