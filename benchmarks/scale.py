"""What a night of a million images costs beside the scoring itself: every step of the DAG in a process of its own.

``python -m benchmarks.scale [--rows 10000 1000000]``. For each size a night of that many files is made, see
`benchmarks.scale_place`; then wait, list, one shard task (scored, and again when it is done), validate, assess, publish
and evaluate are run as the tasks of the DAG run them, see `benchmarks.scale_night`. Seconds are those of the whole
process, imports and loading of the model included; so is the peak memory.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import bench_home, run_main, run_measured, table, write_results
from benchmarks.scale_place import COLLECTION, Place, draw_images

#: What issue 3 asks of the assess step and of the plan.
MAX_ASSESS_BYTES, MAX_ASSESS_SECONDS, MAX_MAPPED_TASKS = 2 * 10**9, 300, 256
_ROWS = (10_000, 1_000_000)
_MEASURED = (
    ("wait", "wait: is the folder complete?"),
    ("list", "list: read every image, write the manifest"),
    ("score_shard", "one shard task, scored"),
    ("score_shard", "one shard task, already done"),
    ("draw_scores", ""),  # no step: writes the other shards' files
    ("validate", "validate"),
    ("assess", "assess"),
    ("publish", "publish"),
    ("evaluate", "evaluate (a label for every image)"),
)
_COLUMNS = {
    "rows": "images",
    "step": "step",
    "seconds": "seconds",
    "cpu_seconds": "CPU seconds",
    "peak_mb": "peak RSS, MB",
    "bytes_an_image": "bytes a further image",
    "xcom_bytes": "XCom of a task, bytes",
}


def measure_night(root: Path, rows: int) -> dict[str, Any]:
    """Make a night of ``rows`` images in the empty folder ``root`` and measure its steps."""
    place = Place(root)
    draw_images(place, rows)
    env = os.environ | {"NIGHTGLASS_HOME": str(place.home)}
    arguments = ["--images", place.good, "--out", root / "model", "--collection", place.collection_file, "--register"]
    run_measured([sys.executable, "-c", "from nightglass.cli import main; main()", "fit", *arguments], env=env)
    steps: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    for step, title in _MEASURED:
        print(f"{rows:,} images: {title or step} …", file=sys.stderr)
        measured = run_measured([sys.executable, "-m", "benchmarks.scale_night", step, root], env=env)
        told[title or step] = measured.last_json()
        if title:
            steps.append(
                {
                    "rows": rows,
                    "step": title,
                    "seconds": measured.seconds,
                    "cpu_seconds": measured.cpu_seconds,
                    "peak_mb": measured.peak_rss_bytes / 1e6,
                    "xcom_bytes": told[title].get("xcom_bytes"),
                }
            )
    listed = told["list: read every image, write the manifest"]
    folder = place.home / "nights" / COLLECTION
    return {
        "rows": rows,
        "mapped_tasks": listed["mapped_tasks"],
        "night_folder_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "steps": steps,
        "returned": told,
    }


def add_growth(nights: list[dict[str, Any]]) -> None:
    """Give the largest night's steps the memory that each further image took, from the smallest night to it."""
    smallest, largest = nights[0], nights[-1]
    for small, large in zip(smallest["steps"], largest["steps"], strict=True):
        if smallest["rows"] < largest["rows"]:
            growth = (large["peak_mb"] - small["peak_mb"]) * 1e6
            large["bytes_an_image"] = round(growth / (largest["rows"] - smallest["rows"]))


def check(night: dict[str, Any]) -> dict[str, bool]:
    """Return which of the limits on a night of a million images the night keeps."""
    assess = next(step for step in night["steps"] if step["step"] == "assess")
    return {
        f"at most {MAX_MAPPED_TASKS} mapped tasks": night["mapped_tasks"] <= MAX_MAPPED_TASKS,
        f"assess under {MAX_ASSESS_BYTES / 1e9:g} GB": assess["peak_mb"] * 1e6 < MAX_ASSESS_BYTES,
        f"assess under {MAX_ASSESS_SECONDS} s": assess["seconds"] < MAX_ASSESS_SECONDS,
    }


def main() -> int:
    """Measure every size, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=_ROWS, help="sizes of the nights")
    sizes = sorted(parser.parse_args().rows)
    nights = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="scale-", dir=bench_home()) as folder:
            nights.append(measure_night(Path(folder), rows))
    add_growth(nights)
    kept = check(nights[-1])
    print(table([step for night in nights for step in night["steps"]], _COLUMNS))
    for night in nights:
        print(f"\n{night['rows']:,} images: {night['mapped_tasks']} mapped tasks", end="")
    print("\n\n" + "\n".join(f"{'kept' if is_kept else 'NOT KEPT'}: {limit}" for limit, is_kept in kept.items()))
    write_results("scale", {"nights": nights, "kept": kept}, is_trial=sizes[-1] < _ROWS[-1])
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    run_main(main)
