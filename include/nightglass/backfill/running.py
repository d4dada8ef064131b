"""A whole backfill in one process, as the command line runs it; Airflow's tasks call the same steps."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nightglass.backfill.judging import judge_nights
from nightglass.backfill.records import Backfilled, BackfillPlan
from nightglass.backfill.scoring import Tell, score_lane
from nightglass.engine.stage_times import count_workers

Options = Mapping[str, Any] | None


def run_backfill(
    plan: BackfillPlan, *, parallel: int, storage_options: Options = None, tell: Tell = lambda *_: None
) -> Backfilled:
    """Score what is missing, so many nights at once that share this machine's processors, and judge every night.

    Raises:
        InputError: ``parallel`` is none of 1 to 16.
        StorageError: A store does not answer; what was finished stays, run it again.
    """
    lanes = plan.cut(parallel)
    workers = max(1, count_workers() // len(lanes))
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="lane") as pool:
        running = [
            pool.submit(score_lane, lane, storage_options=storage_options, workers=workers, tell=tell) for lane in lanes
        ]
        for lane in running:
            lane.result()
    return judge_nights(plan, storage_options=storage_options)
