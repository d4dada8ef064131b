"""A night of solar cells on the stack's S3, run over its Celery workers, and what Airflow says of its times."""

import json
import os
import struct
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.native import Stack

from benchmarks.common import BenchmarkError, run_measured
from benchmarks.data import image_folder, read_cells, split_cells

COLLECTION = "cells"
DAG = f"nightly_{COLLECTION}"
FOLDER = f"nightglass/images/{COLLECTION}/drawn"
#: The same contents come up again and again; here that is meant.
TEXT = f"""
images: s3://nightglass/images/{COLLECTION}/{{night}}
schedule: null
ready: {{quiet_minutes: 0}}
"""
_AT_ONCE = 500


def put_objects(stack: Stack, count: int) -> None:
    """Put ``count`` cells on S3, each with a content of its own; those of a run before are left as they are."""
    import s3fs

    environment = stack.environment
    store = s3fs.S3FileSystem(
        key=environment["AWS_ACCESS_KEY_ID"],
        secret=environment["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=stack.s3_endpoint,
    )
    found = len(store.ls(FOLDER)) if store.exists(FOLDER) else 0
    if found == count:
        return
    if found > count:
        store.rm(FOLDER, recursive=True)
    contents = [cell.file.read_bytes() for cell in read_cells()]
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        store.pipe({f"{FOLDER}/cell-{i:06d}.png": mark(contents[i % len(contents)], i) for i in numbers})
        print(f"\r{numbers.stop:,} of {count:,} objects on S3", end="", file=sys.stderr)
    print(file=sys.stderr)


def mark(png: bytes, number: int) -> bytes:
    """Return the same picture with a number in a text chunk, so that its sha256 is its own."""
    body = b"tEXt" + f"Comment\0{number}".encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    # A PNG ends with an empty chunk of 12 bytes.
    return png[:-12] + chunk + png[-12:]


def fit_champion(stack: Stack, folder: Path, collection_file: Path) -> None:
    """Register a detector fitted on the protocol's good cells, where the model has no version yet."""
    nightglass = Path(sys.executable).with_name("nightglass")
    environment = os.environ | stack.environment
    listed = run_measured([nightglass, "models", "list", "--collection", collection_file, "--json"], env=environment)
    if listed.last_json().get("versions"):
        return
    images = image_folder("distributed-train", (cell.file for cell in split_cells().train))
    options = ("--out", folder / "detector", "--collection", collection_file, "--register", "--json")
    run_measured([nightglass, "fit", "--images", images, *options], env=environment)


@dataclass(frozen=True)
class Span:
    """When a task instance ran, in seconds since its run began."""

    task: str
    start: float
    end: float


@dataclass(frozen=True)
class Timed:
    """A night's times in seconds.

    Attributes:
        wall: From the run's start to its end.
        busy: In which some task ran, from its process's start to its end.
        spans: Of the task instances.
        scoring: That the shards said their work took, without the start of their processes.
    """

    wall: float
    busy: float
    spans: Sequence[Span]
    scoring: float

    def tasks(self) -> dict[str, dict[str, float]]:
        """Return each task's instances, seconds summed over them, and seconds from its first start to its last end."""
        grouped = defaultdict(list)
        for span in self.spans:
            grouped[span.task].append(span)
        return {
            task: {
                "instances": len(spans),
                "summed": round(sum(span.end - span.start for span in spans), 1),
                "elapsed": round(max(span.end for span in spans) - min(span.start for span in spans), 1),
            }
            for task, spans in grouped.items()
        }


def run_night(stack: Stack, night: str, seconds: float) -> Timed:
    """Score the objects as a night, anew where they were scored before, and return its times.

    Raises:
        BenchmarkError: The night did not succeed.
    """
    stack.airflow.wait_for_dag(DAG)
    form = {"night": night, "images_url": f"s3://{FOLDER}", "rescore": True}
    run_id = stack.airflow.trigger(DAG, form)
    state = stack.airflow.wait_for_run(DAG, run_id, seconds)
    if state != "success":
        raise BenchmarkError(f"{DAG} {night}: expected success, got {state} {stack.airflow.task_states(DAG, run_id)}")
    path = f"/dags/{DAG}/dagRuns/{run_id}"
    run = stack.airflow.request("GET", path)
    found = stack.airflow.request("GET", f"{path}/taskInstances?limit=1000")["task_instances"]
    began = _seconds(run["start_date"])
    spans = [
        Span(task["task_id"], _seconds(task["start_date"]) - began, _seconds(task["end_date"]) - began)
        for task in found
        if task["start_date"]
    ]
    shards = [task["map_index"] for task in found if task["task_id"] == "score_shard"]
    scoring = sum(_told_seconds(stack, path, shard) for shard in shards)
    return Timed(_seconds(run["end_date"]) - began, _covered(spans), spans, scoring)


def _told_seconds(stack: Stack, path: str, shard: int) -> float:
    entry = f"{path}/taskInstances/score_shard/xcomEntries/return_value?map_index={shard}"
    told: Any = stack.airflow.request("GET", entry)["value"]
    return float((json.loads(told) if isinstance(told, str) else told)["seconds"])


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _covered(spans: Iterable[Span]) -> float:
    """Return the length of the union of the spans."""
    total, reached = 0.0, 0.0
    for span in sorted(spans, key=lambda span: span.start):
        total += max(0.0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return total
