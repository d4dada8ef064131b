"""A home as the analyst's pages find it after a year: one night of any size, a history of smaller ones, verdicts.

The large night goes through the steps of the DAG; only its scores are drawn, see `benchmarks.scale_scores`, and its
manifest is spread over as many rows as wanted. The top anomalies are real images with real anomaly maps. The nights of
the history share the files of a few drawn ones: links, which cost a disk nothing and a cache as much as any other.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.scale_place import COLLECTION, NIGHT, Place, draw_images
from nightglass.detector.detector import Detector
from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME, RankedImage
from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.records import Assessment
from nightglass.settings import read_settings
from nightglass.storage import Folder, open_folder

CAMERAS = 200  # the slices of the large night, each with one real image
SLICES = r"(?P<camera>camera-\d+)/"
_VARIANTS, _SHARD_ROWS, _TOP = 4, 2_000, 20


def draw_place(place: Place) -> None:
    """Write the images that are really there, and the collection's file."""
    draw_images(place, CAMERAS, files_a_folder=1)
    with place.collection_file.open("a", encoding="utf-8") as file:
        file.write(f"slices: '{SLICES}'\n")


def spread(listed: pa.Table, rows: int) -> pa.Table:
    """Return a manifest of ``rows`` images, of which the first of each camera is the listed one.

    Args:
        listed: The manifest of the real images, one a camera.
        rows: A multiple of their number.
    """
    each = rows // len(listed)
    cameras, numbers = np.repeat(np.arange(len(listed)), each), np.tile(np.arange(each), len(listed))
    whole = listed.take(pa.array(cameras))
    paths = [
        f"camera-{camera:04d}/{camera + number * len(listed):08d}.png"
        for camera, number in zip(cameras.tolist(), numbers.tolist(), strict=True)
    ]
    contents = whole["sha256"].to_pylist()
    hashes = [
        sha256 if row % each == 0 else hashlib.sha256(path.encode()).hexdigest()
        for row, (sha256, path) in enumerate(zip(contents, paths, strict=True))
    ]
    for name, values in (("path", paths), ("raw_path", [path.encode() for path in paths]), ("sha256", hashes)):
        place = whole.schema.get_field_index(name)
        whole = whole.set_column(place, whole.schema.field(place), pa.array(values, whole.schema.field(place).type))
    return whole


def draw_large_night(place: Place, rows: int) -> Assessment:
    """Make the night of ``rows`` images and publish it."""
    from benchmarks.scale_scores import draw_shard
    from nightglass.engine.results import ASSESSMENT_NAME
    from nightglass.engine.shards import plan_shards, shards_folder
    from nightglass.images.manifest import Manifest
    from nightglass.images.manifest_file import read_manifest, write_manifest
    from nightglass.night import flow
    from nightglass.night.plan import PlannedNight

    plan = flow.list_night(str(place.collection_file), NIGHT)
    night = PlannedNight(plan, None)
    listed = read_manifest(night.place.out)
    table = spread(listed.table, rows)
    write_manifest(Manifest(table, listed.ignored, listed.data_version), night.place.out)
    shards = plan_shards(rows, night.place.collection.scoring.shard_size)
    target = shards_folder(night.place.out, plan.score_key)
    random, detector, each = np.random.default_rng(0), night.model.detector, rows // len(listed)
    for shard in shards:
        is_top = np.arange(shard.start, shard.stop) % each == 0
        part = table.slice(shard.start, shard.stop - shard.start)
        target.write_table(shard.name, draw_shard(part, is_top, detector, random))
    plan = plan.model_copy(update={"images": rows, "shards": len(shards)})
    flow.validate_night(plan)
    flow.assess_night(plan)
    flow.publish_night(plan)
    return Assessment.model_validate_json(night.place.out.read_bytes(ASSESSMENT_NAME))


def draw_history(place: Place, last: Assessment, nights: int, images: int) -> list[tuple[str, list[str]]]:
    """Publish the nights before the large one; return the name of each, and contents that verdicts can be on."""
    from nightglass.detector.files import load_detector
    from nightglass.store import Store

    detector, settings = load_detector(place.root / "model"), read_settings()
    variants = [_draw_variant(place, detector, number, images) for number in range(_VARIANTS)]
    told = []
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        for back in range(1, nights + 1):
            night = (date.fromisoformat(NIGHT) - timedelta(days=back)).isoformat()
            folder, top, contents = variants[back % _VARIANTS]
            assessment = _assess(last, night, images, top, back)
            _link_night(open_folder(settings.nights_url).child(COLLECTION), folder, night, assessment)
            at = datetime.fromisoformat(night).replace(tzinfo=UTC) + timedelta(hours=27)
            store.publish_night(assessment, f"{folder}/report.html", at)
            told.append((night, contents))
    return told


def say_verdicts(history: list[tuple[str, list[str]]], number: int) -> None:
    """Give verdicts on images of the history, which make the log long."""
    from nightglass.retraining.verdicts import NewVerdict
    from nightglass.store import Store

    def draw() -> Iterator[NewVerdict]:
        for row in range(number):
            night, contents = history[row % len(history)]
            sha256 = contents[row // len(history) % len(contents)]
            word = ("defect", "normal", "unsure")[row % 3]
            yield NewVerdict.model_validate(
                {"night": night, "scope": "image", "path": f"{sha256[:8]}.png", "sha256": sha256, "verdict": word}
                | {"by": f"analyst {row % 7}", "source": "import"}
            )

    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.add_verdicts(COLLECTION, draw(), datetime.now(UTC))


def _draw_variant(
    place: Place, detector: Detector, number: int, images: int
) -> tuple[Path, list[RankedImage], list[str]]:
    """Draw the files of a night of the history; return their folder, the top anomalies and all contents."""
    from benchmarks.scale_scores import draw_shard
    from nightglass.engine.merge import merge_shards
    from nightglass.engine.shards import Shard
    from nightglass.images.manifest import SCHEMA, Manifest
    from nightglass.images.manifest_file import write_manifest

    folder = place.root / "history" / str(number)
    out, source = open_folder(folder), open_folder(folder / "shards")
    paths = [f"camera-{row % CAMERAS:04d}/{number}-{row:08d}.png" for row in range(images)]
    hashes = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    random = np.random.default_rng(number)
    shards: list[Shard] = []
    for start in range(0, images, _SHARD_ROWS):
        shard = Shard(len(shards), start, min(start + _SHARD_ROWS, images))
        part = pa.table({"path": paths[start : shard.stop], "sha256": hashes[start : shard.stop]})
        is_top = np.arange(start, shard.stop) % (images // _TOP) == 0
        source.write_table(shard.name, draw_shard(part, is_top, detector, random))
        shards.append(shard)
    merged = merge_shards(shards, source, out, _TOP)
    rows = [
        {"path": path, "raw_path": path.encode(), "sha256": sha256} for path, sha256 in zip(paths, hashes, strict=True)
    ]
    write_manifest(Manifest(pa.Table.from_pylist(rows, schema=SCHEMA), 0, f"history-{number}"), out)
    return folder, merged.top, hashes


def _assess(last: Assessment, night: str, images: int, top: list[RankedImage], back: int) -> Assessment:
    anomalies = [
        shown.model_copy(
            update={"path": image.path, "sha256": image.sha256, "image_score": image.image_score, "rank": rank}
        )
        for rank, (shown, image) in enumerate(zip(last.top_anomalies, top, strict=False), start=1)
    ]
    anomalous = int(images * (0.01 + 0.002 * (back % 5)))
    return last.model_copy(
        update={"night": night, "images": images, "scored": images, "quarantined": 0, "anomalous": anomalous}
        | {
            "anomaly_rate": anomalous / images,
            "data_version": f"history-{back % _VARIANTS}",
            "top_anomalies": anomalies,
        }
    )


def _link_night(nights: Folder, source: Path, night: str, assessment: Assessment) -> None:
    """Give a night its folder: links to the files of its variant, and to the pictures of the large night."""
    folder = Path(nights.path(night))
    (folder / "anomaly_maps").mkdir(parents=True)
    for name in (SCORES_NAME, QUARANTINE_NAME, INDEX_NAME, MANIFEST_NAME):
        os.link(source / name, folder / name)
    for picture in (Path(nights.path(NIGHT)) / "anomaly_maps").iterdir():
        os.link(picture, folder / "anomaly_maps" / picture.name)
    (folder / "assessment.json").write_text(assessment.model_dump_json(), encoding="utf-8")


def main() -> None:
    """Make the home below the folder that is given, whose images and detector are there already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    for name in ("rows", "nights", "images", "verdicts"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    place = Place(options.root)
    last = draw_large_night(place, options.rows)
    history = draw_history(place, last, options.nights, options.images)
    say_verdicts(history, options.verdicts)
    told: dict[str, Any] = {"night": NIGHT, "nights": [night for night, _ in islice(history, None)]}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
