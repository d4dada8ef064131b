"""A backfill as Airflow's tasks hand it on: cut into lanes, each a task, and put together again."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightglass.backfill.judging import judge_nights
from nightglass.backfill.plan import plan_backfill
from nightglass.backfill.records import Backfilled, BackfillPlan, check_parallel

Options = Mapping[str, Any] | None


def plan_lanes(
    collection_file: str, *, since: str, until: str, version: str, parallel: int, storage_options: Options = None
) -> list[dict[str, Any]]:
    """Plan a backfill and cut it into at most ``parallel`` lanes; see :func:`plan_backfill`.

    Raises:
        InputError: A date or the number of lanes is wrong, or no night of the range was published.
        ModelError: There is no such version.
    """
    check_parallel(parallel)
    plan = plan_backfill(collection_file, since=since, until=until, version=version, storage_options=storage_options)
    return [lane.model_dump() for lane in plan.cut(parallel)]


def judge_lanes(lanes: Sequence[Mapping[str, Any]], *, storage_options: Options = None) -> Backfilled:
    """Judge the nights of all lanes of a plan, of which there is at least one; see :func:`judge_nights`."""
    plans = [BackfillPlan(**lane) for lane in lanes]
    nights = sorted((night for plan in plans for night in plan.nights), key=lambda night: night.night)
    skipped = [night for plan in plans for night in plan.skipped]
    whole = plans[0].model_copy(update={"nights": nights, "skipped": skipped})
    return judge_nights(whole, storage_options=storage_options)
