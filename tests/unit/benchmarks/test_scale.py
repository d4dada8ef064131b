from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.scale import add_growth, check
from benchmarks.scale_place import NIGHT, Place, draw_images
from benchmarks.scale_scores import draw_shard, give_own_contents

from nightglass.detector.detector import Detector
from nightglass.detector.files import load_detector
from nightglass.engine.merge import merge_shards
from nightglass.engine.shards import SHARD_SCHEMA, Shard
from nightglass.storage import open_folder


def night(rows: int, *, tasks: int = 256, peak_mb: float = 900.0, seconds: float = 20.0) -> dict[str, object]:
    assess = {"rows": rows, "step": "assess", "peak_mb": peak_mb, "seconds": seconds}
    return {"rows": rows, "mapped_tasks": tasks, "steps": [assess]}


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        ({}, [True, True, True]),
        ({"tasks": 257}, [False, True, True]),
        ({"peak_mb": 2000.0}, [True, False, True]),
        ({"seconds": 300.0}, [True, True, False]),
    ],
)
def test_every_limit_can_be_missed(measured, kept):
    assert list(check(night(1_000_000, **measured)).values()) == kept


def test_growth_is_the_memory_of_each_further_image():
    nights = [night(10_000, peak_mb=400.0), night(110_000, peak_mb=450.0)]
    add_growth(nights)
    assert "bytes_an_image" not in nights[0]["steps"][0]
    assert nights[1]["steps"][0]["bytes_an_image"] == 500


def test_growth_of_a_single_size_is_unknown():
    nights = [night(10_000)]
    add_growth(nights)
    assert "bytes_an_image" not in nights[0]["steps"][0]


def test_a_drawn_night_has_as_many_files_as_rows(tmp_path):
    draw_images(Place(tmp_path), 30, files_a_folder=7)
    files = sorted((tmp_path / "images" / NIGHT).rglob("*.png"))
    assert len(files) == 30
    assert len({file.read_bytes() for file in files}) == 5  # one content a folder of 7
    assert len(list((tmp_path / "good").iterdir())) > 100


def listed(rows: int) -> pa.Table:
    paths = [f"camera/{row:04d}.png" for row in range(rows)]
    return pa.table({"path": paths, "sha256": ["same"] * rows, "size_bytes": [1] * rows})


def test_every_row_gets_a_content_of_its_own_but_the_kept_ones():
    distinct = give_own_contents(listed(50), {0, 49})
    hashes = distinct["sha256"].to_pylist()
    assert (hashes[0], hashes[49]) == ("same", "same")
    assert len(set(hashes[1:49])) == 48
    assert "same" not in hashes[1:49]
    assert distinct.column_names == ["path", "sha256", "size_bytes"]


@pytest.fixture
def detector(model: Path) -> Detector:
    return load_detector(model)


def test_drawn_shards_are_like_those_of_the_engine(detector, tmp_path):
    rows, random = 4000, np.random.default_rng(0)
    is_top = np.arange(rows) % 400 == 0
    table = draw_shard(listed(rows), is_top, detector, random)
    assert table.schema.equals(SHARD_SCHEMA)
    assert 0 < rows - table["reason"].null_count < 0.02 * rows
    source, out = open_folder(tmp_path / "shards"), open_folder(tmp_path / "out")
    source.write_table("00000.parquet", table)
    merged = merge_shards([Shard(0, 0, rows)], source, out, top_k=10)
    assert merged.scored + merged.quarantined == rows
    assert {image.path for image in merged.top} == {f"camera/{row:04d}.png" for row in range(0, rows, 400)}
    assert 0.005 < merged.anomalous / merged.scored < 0.03


def test_an_image_of_the_top_is_never_quarantined(detector):
    rows = 4000
    table = draw_shard(listed(rows), np.ones(rows, bool), detector, np.random.default_rng(0))
    assert table["reason"].null_count == rows


def test_drawn_statistics_and_vectors_are_near_the_references(detector):
    rows = 500
    table = draw_shard(listed(rows), np.zeros(rows, bool), detector, np.random.default_rng(0))
    usual = detector.reference.statistics["brightness"].median
    assert np.median(np.asarray(table["brightness"])) == pytest.approx(usual, rel=0.02)
    vectors = np.stack([np.frombuffer(vector, np.float16) for vector in table["vector"].to_pylist()])
    assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(np.ones(rows), abs=0.01)
