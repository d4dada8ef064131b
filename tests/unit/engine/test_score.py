import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest

from nightglass.collections import default_collection
from nightglass.detector.files import load_detector
from nightglass.engine.score import ScoreJob, finish_scores, score_folder, score_shards
from nightglass.engine.shards import plan_shards
from nightglass.engine.stage_times import WORKING_STAGES
from nightglass.errors import InputError, StorageError
from nightglass.images.manifest import build_manifest
from nightglass.storage import open_folder
from tests.conftest import SmallDisk, draw_panel, png_with_size, write_panels

Run = Callable[..., subprocess.CompletedProcess[str]]
IMAGE_COLUMNS = ["path", "sha256", "image_score", "is_anomalous"]


def job(model: Path, images: Path, out: Path, *, top_k: int = 5, shard_size: int = 2000, workers: int = 2) -> ScoreJob:
    collection = default_collection()
    scoring = collection.scoring.model_copy(update={"shard_size": shard_size, "batch_size": 4})
    return ScoreJob(
        images=open_folder(images),
        out=open_folder(out),
        detector=load_detector(model),
        model=str(model),
        collection=collection.model_copy(update={"scoring": scoring}),
        workers=workers,
        top_k=top_k,
    )


def score(model: Path, images: Path, out: Path, **options: int) -> dict[str, object]:
    return score_folder(job(model, images, out, **options), lambda *_: None)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty unseen panels, four of them with a defect."""
    return write_panels(tmp_path_factory.mktemp("night"), range(500, 530), defects=4)


def test_defects_are_found_explained_and_counted(model: Path, night: Path, tmp_path: Path) -> None:
    summary = score(model, night, tmp_path)
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names[:4] == IMAGE_COLUMNS
    scores = dict(zip(table["path"].to_pylist(), table["image_score"].to_pylist(), strict=True))
    best = sorted(scores, key=lambda path: -scores[path])[:4]
    assert all(path.startswith("defect") for path in best)
    assert summary["scored"] == summary["images"] == 30
    assert min(summary["stage_seconds"][stage] for stage in ("list", "load", "decode", "embed", "search")) > 0
    assert summary["anomalous"] == sum(table["is_anomalous"].to_pylist()) >= 4
    top = json.loads((tmp_path / "top_anomalies.json").read_text())["top_anomalies"]
    assert [image["path"] for image in top[:4]] == best
    for image in top:
        assert (tmp_path / image["image"]).stat().st_size > 0
        assert (tmp_path / image["anomaly_map"]).stat().st_size > 0
        assert [n["distance"] for n in image["neighbors"]] == sorted(n["distance"] for n in image["neighbors"])
        assert all((tmp_path / n["thumbnail"]).is_file() for n in image["neighbors"])


def test_the_anomaly_map_points_at_the_defect(model: Path, tmp_path: Path) -> None:
    from PIL import Image

    images = tmp_path / "images"
    images.mkdir()
    panel = np.asarray(draw_panel(900)).copy()
    panel[80:105, 15:40] = 250
    Image.fromarray(panel).save(images / "spot.png")
    score(model, images, tmp_path / "out", top_k=1)
    heat = np.asarray(Image.open(tmp_path / "out/anomaly_maps/0001.map.png")).astype(float)
    assert heat.shape == panel.shape
    row, column = np.argwhere(heat >= 0.9 * heat.max()).mean(axis=0)
    assert 80 <= row <= 105
    assert 15 <= column <= 40


def test_row_i_of_the_index_is_row_i_of_the_scores(model: Path, night: Path, tmp_path: Path) -> None:
    score(model, night, tmp_path, shard_size=7)
    index = faiss.read_index(str(tmp_path / "embeddings.faiss"))
    assert index.ntotal == 30
    vectors = index.reconstruct_n(0, 30)
    _, rows = index.search(vectors, 1)
    assert (rows[:, 0] == np.arange(30)).all()


def test_shards_and_workers_do_not_change_the_result(model: Path, night: Path, tmp_path: Path) -> None:
    for name, options in {"a": {"workers": 1}, "b": {"workers": 3}, "c": {"shard_size": 8}}.items():
        score(model, night, tmp_path / name, **options)
    first, *others = [pq.read_table(tmp_path / name / "scores.parquet") for name in "abc"]
    assert all(first.equals(other) for other in others)
    assert not (tmp_path / "a/.shards").exists()


def test_time_spent_on_shards_that_others_scored_is_told(model: Path, night: Path, tmp_path: Path) -> None:
    first = job(model, night, tmp_path, shard_size=8)
    manifest = build_manifest(first.images, first.collection.suffixes, first.collection.scoring, workers=2)
    shards = plan_shards(len(manifest), 8)
    for shard in shards:  # each as a process of its own would
        score_shards(job(model, night, tmp_path, shard_size=8), manifest, [shard], lambda *_: None)
    summary = finish_scores(first, manifest, shards)
    stages = summary["stage_seconds"]
    assert min(stages[name] for name in ("read", "decode", "embed", "search", "merge", "explain")) > 0
    assert summary["limited_by"] in WORKING_STAGES.values()
    assert summary["seconds"] is None
    assert pq.read_schema(tmp_path / "scores.parquet").metadata is None


def test_two_hundred_good_files_and_forty_damaged_ones(model: Path, tmp_path: Path) -> None:
    images = write_panels(tmp_path / "images", range(2000, 2200))
    expected = {f"{kind}-{number}{suffix}": reason for kind, suffix, reason in DAMAGE for number in range(5)}
    for kind, suffix, _ in DAMAGE:
        for number in range(5):
            make_damage(kind, images / f"{kind}-{number}{suffix}", tmp_path)
    summary = score(model, images, tmp_path / "out")
    assert (summary["scored"], summary["quarantined"]) == (200, 40)
    quarantine = pq.read_table(tmp_path / "out/quarantine.parquet")
    assert quarantine.column_names == ["path", "reason", "detail"]
    found = dict(zip(quarantine["path"].to_pylist(), quarantine["reason"].to_pylist(), strict=True))
    assert found == expected


DAMAGE = [
    ("empty", ".png", "empty_file"),
    ("text", ".jpg", "not_an_image"),
    ("half", ".jpg", "truncated"),
    ("half", ".png", "truncated"),
    ("zeros", ".png", "corrupt"),
    ("bomb", ".png", "too_many_pixels"),
    ("other", ".jpg", "wrong_suffix"),
    ("link", ".png", "link_outside_folder"),
]


def make_damage(kind: str, path: Path, tmp_path: Path) -> None:
    good = tmp_path / f"good{path.suffix if kind != 'other' else '.png'}"
    if not good.exists():
        draw_panel(1, size=300).save(good)
    data = good.read_bytes()
    middle = len(data) // 2
    contents = {
        "empty": b"",
        "text": b"Dear colleague, the camera is broken.",
        "half": data[:middle],
        "zeros": data[:middle] + bytes(60) + data[middle + 60 :],
        "bomb": png_with_size(60_000, 60_000),
        "other": data,
    }
    if kind == "link":
        path.symlink_to(good)
    else:
        path.write_bytes(contents[kind])


def test_hostile_names_are_scored_under_their_own_name(model: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    names = ["<img src=x onerror=alert(1)>.png", "'; DROP TABLE nights; --.png", "two\nlines.png", "\u202egnp.exe.png"]
    for number, name in enumerate(names):
        draw_panel(number).save(images / name)
    Path(os.fsdecode(os.fsencode(images) + b"/caf\xe9.png")).write_bytes((images / names[0]).read_bytes())
    score(model, images, tmp_path / "out")
    paths = pq.read_table(tmp_path / "out/scores.parquet")["path"].to_pylist()
    assert sorted(paths) == sorted([*names, "caf\\xe9.png"])


def test_an_image_that_changes_while_it_is_scored_is_quarantined(model: Path, night: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(night, tmp_path / "images"))
    first = min(images.iterdir())

    def swap(stage: str, done: int, total: int) -> None:
        if stage == "list" and done == total:
            draw_panel(77).save(first)

    score_folder(job(model, images, tmp_path / "out"), swap)
    assert pq.read_table(tmp_path / "out/quarantine.parquet").to_pylist()[0]["reason"] == "changed"


def test_an_image_that_vanishes_before_it_is_explained_keeps_its_score(
    model: Path, night: Path, tmp_path: Path
) -> None:
    images = Path(shutil.copytree(night, tmp_path / "images"))

    def remove(stage: str, done: int, total: int) -> None:
        if stage == "score" and done == total:
            for path in images.glob("defect-*"):
                path.unlink()

    summary = score_folder(job(model, images, tmp_path / "out"), remove)
    assert summary["scored"] == 30
    top = json.loads((tmp_path / "out/top_anomalies.json").read_text())["top_anomalies"]
    assert top[0]["path"].startswith("defect")
    assert top[0]["neighbors"] == []
    assert top[4]["neighbors"]


def test_an_interrupted_run_goes_on_at_its_first_missing_shard(model: Path, night: Path, tmp_path: Path) -> None:
    score(model, night, tmp_path / "whole", shard_size=6)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "score" and done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_folder(job(model, night, tmp_path / "out", shard_size=6, workers=1), stop)
    assert not (tmp_path / "out/scores.parquet").exists()
    finished = sorted((tmp_path / "out").glob(".shards/*/*.parquet"))
    assert len(finished) >= 2
    written_at = {path: path.stat().st_mtime_ns for path in finished}
    seen: list[dict[Path, int]] = []

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "score" and done == total:
            seen.append({path: path.stat().st_mtime_ns for path in finished})

    score_folder(job(model, night, tmp_path / "out", shard_size=6), watch)
    assert seen[0] == written_at
    assert (tmp_path / "out/scores.parquet").read_bytes() == (tmp_path / "whole/scores.parquet").read_bytes()


def test_a_run_that_fails_leaves_the_results_before_it(model: Path, night: Path, tmp_path: Path) -> None:
    score(model, night, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_folder(job(model, night, tmp_path / "out"), stop)
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert after == before
    assert (tmp_path / "out/anomaly_maps/0001.map.png").exists()


def test_only_one_run_writes_a_folder(model: Path, night: Path, tmp_path: Path) -> None:
    refused: list[str] = []

    def second(stage: str, done: int, total: int) -> None:
        if stage == "score" and not refused:
            with pytest.raises(InputError, match="another one does") as error:
                score(model, night, tmp_path / "out")
            refused.append(str(error.value))

    score_folder(job(model, night, tmp_path / "out"), second)
    assert refused
    assert not (tmp_path / "out/.lock").exists()


def test_a_folder_of_somebody_else_is_not_touched(model: Path, night: Path, tmp_path: Path) -> None:
    (tmp_path / "anomaly_maps").mkdir()
    (tmp_path / "anomaly_maps/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new folder or one with earlier scores"):
        score(model, night, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["anomaly_maps"]


def test_the_output_may_not_lie_among_the_images(model: Path, night: Path) -> None:
    with pytest.raises(InputError, match="expected a folder outside of the images"):
        score(model, night, night / "results")
    assert not (night / "results").exists()


@pytest.mark.parametrize(("images", "shard_size", "count"), [(0, 10, 0), (1, 10, 1), (1_000_000, 2000, 256)])
def test_a_night_is_never_more_than_256_shards(images: int, shard_size: int, count: int) -> None:
    shards = plan_shards(images, shard_size)
    assert len(shards) == count
    assert sum(shard.stop - shard.start for shard in shards) == images


def test_a_full_disk_is_one_clear_error_and_leaves_no_half_file(
    model: Path, night: Path, small_disk: SmallDisk
) -> None:
    out = small_disk("size=64k")
    with pytest.raises(StorageError, match="No space left on device") as caught:
        score(model, night, out)
    assert caught.value.can_heal
    assert not list(out.rglob(".writing-*"))
    assert not (out / "scores.parquet").exists()
