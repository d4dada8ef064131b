"""A night of 20,000 objects on S3 over one and over two Celery workers of the stack in docker-compose.yaml.

``python -m benchmarks.distributed [--images 20000] [--cases one two whole whole-two-shards]``. The stack runs natively
(`deploy/native`), all of it on this machine: PostgreSQL, Redis, SeaweedFS, MLflow and Airflow share its cores with the
workers. So that two workers are two machines' worth and not twice the same cores, *one* and *two* have workers that
are bound to one core each; *whole* is one worker with every core, as on a machine of its own.
"""

import argparse
import json
import sys
from typing import Any

from deploy.native import StackError, running_stack

from benchmarks.common import BenchmarkError, bench_home, run_main, table, write_results
from benchmarks.distributed_night import COLLECTION, TEXT, Timed, fit_champion, put_objects, run_night
from demo.airflow_processes import AirflowError, exit_on_signals

#: Of each case: its night, how many workers, how many shards at once, and whether each worker has one core only.
CASES = {
    "one": ("2026-03-02", 1, 1, True),
    "two": ("2026-03-03", 2, 2, True),
    "whole": ("2026-03-04", 1, 1, False),
    "whole-two-shards": ("2026-03-05", 1, 2, False),
}
#: What is measured when nothing is said.
_USUAL = ["one", "two"]
_IMAGES = 20_000
_NIGHT_SECONDS = 1800
_COLUMNS = {
    "case": "case",
    "wall": "wall, s",
    "images_per_second": "images/s",
    "scoring": "scoring, first start to last end, s",
    "speed_up": "speed-up of that",
    "wall_speed_up": "of the night",
    "idle": "Airflow between tasks, s",
    "start": "a shard's start, s",
}

_TASK_COLUMNS = {
    "case": "case",
    "task": "task",
    "instances": "instances",
    "summed": "seconds, summed",
    "elapsed": "first start to last end",
}


def measure(case: str, images: int) -> dict[str, Any]:
    """Start the stack with the case's workers, run its night and return the times."""
    night, workers, slots, is_bound = CASES[case]
    home = bench_home() / "distributed"
    collections = home / "collections"
    collections.mkdir(parents=True, exist_ok=True)
    file = collections / f"{COLLECTION}.yaml"
    file.write_text(TEXT, encoding="utf-8")
    environment = {"NIGHTGLASS_COLLECTIONS_DIR": str(collections)}
    with running_stack(home / "stack", workers=workers, environment=environment) as stack:
        pool = {"name": "nightglass_scoring", "slots": slots, "include_deferred": False}
        stack.airflow.request("PATCH", "/pools/nightglass_scoring", pool)
        fit_champion(stack, home, file)
        put_objects(stack, images)
        if is_bound:
            for number in range(workers):
                for member in stack.processes[f"worker-{number + 1}"].members():
                    member.cpu_affinity([number])
        return describe(case, run_night(stack, night, _NIGHT_SECONDS), images)


def describe(case: str, timed: Timed, images: int) -> dict[str, Any]:
    """Return the figures of a night."""
    tasks = timed.tasks()
    shards = tasks["score_shard"]
    return {
        "case": case,
        "wall": timed.wall,
        "images_per_second": images / timed.wall,
        "scoring": shards["elapsed"],
        "idle": timed.wall - timed.busy,
        "start": (shards["summed"] - timed.scoring) / shards["instances"],
        "tasks": tasks,
    }


def compare(rows: list[dict[str, Any]]) -> None:
    """Add to each row how many times as fast it was as the case *one*."""
    for row in rows:
        for base in (found for found in rows if found["case"] == "one"):
            row["speed_up"] = base["scoring"] / row["scoring"]
            row["wall_speed_up"] = base["wall"] / row["wall"]


def main() -> int:
    """Measure each case and print the tables; a case that is not measured now has the figures of the last time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=_IMAGES, help="objects of the night")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=_USUAL, metavar="CASE")
    arguments = parser.parse_args()
    kept = bench_home() / f"distributed-{arguments.images}.json"
    measured = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    try:
        for case in arguments.cases:
            print(f"== {case}", file=sys.stderr)
            measured[case] = measure(case, arguments.images)
            kept.write_text(json.dumps(measured), encoding="utf-8")
    except (StackError, AirflowError) as error:
        raise BenchmarkError(str(error)) from error
    rows = [measured[case] for case in CASES if case in measured]
    compare(rows)
    print(table(rows, _COLUMNS))
    tasks = [{"case": row["case"], "task": task, **spent} for row in rows for task, spent in row["tasks"].items()]
    print(f"\n{table(tasks, _TASK_COLUMNS)}")
    is_trial = arguments.images != _IMAGES or not measured.keys() >= set(_USUAL)
    write_results("distributed", {"images": arguments.images, "cases": rows}, is_trial=is_trial)
    return 0


if __name__ == "__main__":
    exit_on_signals()
    run_main(main)
