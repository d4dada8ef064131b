"""A synthetic night of any size, and its steps as the tasks of the DAG call them, one to a process.

The images are hard links to a few small drawn PNG files, so that every row of the manifest is a real file and is
really read, hashed and described. The scores are drawn: nobody waits for a million images to be scored. The rows that
come out on top keep the sha256 of their file, so that the explanations are those of real images.
"""

import argparse
import csv
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

NIGHT, COLLECTION = "2026-01-02", "scale"
_FILES_A_FOLDER = 10_000  # the files of a folder are links to one image; a file system has a limit on those
_GOOD, _SOURCES = 200, 100
_SIDE = 120  # pixels
_TOP_ROWS = 200
_DEFECT_SHARE = 0.01


@dataclass(frozen=True)
class Place:
    """Where the synthetic night lies."""

    root: Path

    @property
    def home(self) -> Path:
        """NIGHTGLASS_HOME of the night's steps."""
        return self.root / "home"

    @property
    def good(self) -> Path:
        """Images that the detector is fitted on."""
        return self.root / "good"

    @property
    def collection_file(self) -> Path:
        """The collection's file."""
        return self.root / f"{COLLECTION}.yaml"

    @property
    def labels(self) -> Path:
        """A label for every image."""
        return self.root / "labels.csv"

    @property
    def plan(self) -> Path:
        """The night's plan, as the first step returned it."""
        return self.root / "plan.json"


def draw_images(place: Place, rows: int) -> None:
    """Write good images, and a night of ``rows`` files that are hard links to others like them."""
    place.good.mkdir(parents=True)
    for number in range(_GOOD):
        _draw(number).save(place.good / f"{number:04d}.png")
    folder = place.root / "sources"
    folder.mkdir()
    for number in range(_SOURCES):
        _draw(_GOOD + number).save(folder / f"{number:04d}.png")
    for start in range(0, rows, _FILES_A_FOLDER):
        camera = place.root / "images" / NIGHT / f"camera-{start // _FILES_A_FOLDER:04d}"
        camera.mkdir(parents=True)
        source = folder / f"{start // _FILES_A_FOLDER % _SOURCES:04d}.png"
        for row in range(start, min(start + _FILES_A_FOLDER, rows)):
            os.link(source, camera / f"{row:08d}.png")
    place.collection_file.write_text(
        f"images: {place.root}/images/{{night}}\nschedule: null\nready: {{quiet_minutes: 0}}\n", encoding="utf-8"
    )


def wait(place: Place) -> dict[str, Any]:
    """Look whether the folder is complete."""
    from nightglass.night import flow

    return {"reason": flow.reason_to_wait(str(place.collection_file), NIGHT)}


def list_images(place: Place) -> dict[str, Any]:
    """Write manifest and plan."""
    from nightglass.night import flow

    plan = flow.list_night(str(place.collection_file), NIGHT)
    place.plan.write_text(plan.model_dump_json(), encoding="utf-8")
    return {"images": plan.images, "mapped_tasks": plan.shards, "plan_bytes": len(plan.model_dump_json())}


def score_shard(place: Place) -> dict[str, Any]:
    """Score the last shard, images and all; once it is there, only look for it."""
    from nightglass.night import flow

    plan = _read_plan(place)
    return flow.score_night_shard(plan, plan.shards - 1)


def draw_scores(place: Place) -> dict[str, Any]:
    """Give every image a content of its own in the manifest, and write a shard file for every shard."""
    from benchmarks.scale_scores import draw_shard
    from nightglass.engine.shards import plan_shards, shards_folder
    from nightglass.images.manifest import Manifest
    from nightglass.images.manifest_file import read_manifest, write_manifest
    from nightglass.night.plan import PlannedNight

    night = PlannedNight(_read_plan(place), None)
    manifest = read_manifest(night.place.out)
    random = np.random.default_rng(0)
    top = set(np.linspace(0, len(manifest) - 1, _TOP_ROWS).astype(int).tolist())
    hashes = [
        sha256 if row in top else hashlib.sha256(path.encode()).hexdigest()
        for row, (path, sha256) in enumerate(
            zip(manifest.table["path"].to_pylist(), manifest.table["sha256"].to_pylist(), strict=True)
        )
    ]
    place_of = manifest.table.schema.get_field_index("sha256")
    distinct = manifest.table.set_column(place_of, "sha256", pa.array(hashes))
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

    return {"to_score": len(flow.validate_night(_read_plan(place)))}


def assess(place: Place) -> dict[str, Any]:
    """Merge the shards, explain the top-k, measure and decide."""
    from nightglass.night import flow

    return dict(flow.assess_night(_read_plan(place)))


def publish(place: Place) -> dict[str, Any]:
    """Write the report, the rows and the MLflow run."""
    from nightglass.night import flow

    return dict(flow.publish_night(_read_plan(place)))


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


def _draw(seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    pixels = np.full((_SIDE, _SIDE), 120.0) + random.normal(0, 5, (_SIDE, _SIDE)) + random.uniform(-8, 8)
    pixels[:: _SIDE // 6] -= 50
    pixels[:, _SIDE // 2] -= 40
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _write_labels(place: Place, paths: list[str], random: np.random.Generator) -> None:
    with place.labels.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        for path, draw in zip(paths, random.random(len(paths)), strict=True):
            writer.writerow((path, "defect" if draw < _DEFECT_SHARE else "normal"))


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
