"""A synthetic night of any size, and its steps as the tasks of the DAG call them, one to a process.

The images are hard links to a few small drawn PNG files, so that every row of the manifest is a real file and is
really read, hashed and described. The scores are drawn: nobody waits for a million images to be scored. The rows that
come out on top keep the sha256 of their file, so that the explanations are those of real images.
"""

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale_place import COLLECTION, NIGHT, Place

_TOP_ROWS = 200
_DEFECT_SHARE = 0.01


def wait(place: Place) -> dict[str, Any]:
    """Look whether the folder is complete."""
    from nightglass.night import flow

    return {"reason": flow.reason_to_wait(str(place.collection_file), NIGHT)}


def list_images(place: Place) -> dict[str, Any]:
    """Write manifest and plan."""
    from nightglass.night import flow

    plan = flow.list_night(str(place.collection_file), NIGHT)
    place.plan.write_text(plan.model_dump_json(), encoding="utf-8")
    return {"images": plan.images, "mapped_tasks": plan.shards, **_xcom(plan.model_dump())}


def score_shard(place: Place) -> dict[str, Any]:
    """Score the last shard, images and all; once it is there, only look for it."""
    from nightglass.night import flow

    plan = _read_plan(place)
    told = flow.score_night_shard(plan, plan.shards - 1)
    return told | _xcom(told)


def draw_scores(place: Place) -> dict[str, Any]:
    """Give every image a content of its own in the manifest, and write a shard file for every shard."""
    from benchmarks.scale_scores import draw_shard, give_own_contents
    from nightglass.engine.shards import plan_shards, shards_folder
    from nightglass.images.manifest import Manifest
    from nightglass.images.manifest_file import read_manifest, write_manifest
    from nightglass.night.plan import PlannedNight

    night = PlannedNight(_read_plan(place), None)
    manifest = read_manifest(night.place.out)
    random = np.random.default_rng(0)
    top = set(np.linspace(0, len(manifest) - 1, _TOP_ROWS).astype(int).tolist())
    distinct = give_own_contents(manifest.table, top)
    write_manifest(Manifest(distinct, manifest.ignored, manifest.data_version), night.place.out)
    target = shards_folder(night.place.out, night.plan.score_key)
    for shard in plan_shards(len(manifest), night.place.collection.scoring.shard_size):
        is_top = np.array([row in top for row in range(shard.start, shard.stop)])
        part = distinct.slice(shard.start, shard.stop - shard.start)
        target.write_table(shard.name, draw_shard(part, is_top, night.model.detector, random))
    _write_labels(place, manifest.table["path"].to_pylist(), random)
    return {}


def validate(place: Place) -> dict[str, Any]:
    """Check the manifest."""
    from nightglass.night import flow

    shards = flow.validate_night(_read_plan(place))
    return {"to_score": len(shards), **_xcom(shards)}


def assess(place: Place) -> dict[str, Any]:
    """Merge the shards, explain the top-k, measure and decide."""
    from nightglass.night import flow

    told = flow.assess_night(_read_plan(place))
    return told | _xcom(told)


def publish(place: Place) -> dict[str, Any]:
    """Write the report, the rows and the MLflow run."""
    from nightglass.night import flow

    told = flow.publish_night(_read_plan(place))
    return told | _xcom(told)


def evaluate(place: Place) -> dict[str, Any]:
    """Compare the scores with a label for every image, as ``nightglass evaluate`` does."""
    from nightglass.engine.evaluation import evaluate_scores
    from nightglass.images.labels import read_labels
    from nightglass.storage import open_folder

    columns = ["path", "image_score", "is_anomalous"]
    scores = open_folder(place.home / "nights" / COLLECTION / NIGHT).read_table("scores.parquet", columns)
    figures = evaluate_scores(scores, read_labels(place.labels))
    return {name: figures[name] for name in ("images", "defects", "auroc", "average_precision")}


STEPS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "wait": wait,
    "list": list_images,
    "score_shard": score_shard,
    "draw_scores": draw_scores,
    "validate": validate,
    "assess": assess,
    "publish": publish,
    "evaluate": evaluate,
}


def _write_labels(place: Place, paths: list[str], random: np.random.Generator) -> None:
    with place.labels.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        for path, draw in zip(paths, random.random(len(paths)), strict=True):
            writer.writerow((path, "defect" if draw < _DEFECT_SHARE else "normal"))


def _xcom(returned: object) -> dict[str, int]:
    """Tell how much Airflow keeps in its database of what a task returned."""
    return {"xcom_bytes": len(json.dumps(returned).encode())}


def _read_plan(place: Place) -> Any:
    from nightglass.night.plan import NightPlan

    return NightPlan.model_validate_json(place.plan.read_bytes())


def main() -> None:
    """Run one step and print what it returned as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("root", type=Path)
    arguments = parser.parse_args()
    print(json.dumps(STEPS[arguments.step](Place(arguments.root)), default=str))


if __name__ == "__main__":
    main()
