import faiss
import numpy as np
import pyarrow as pa
import pytest

from nightglass.detector.night_space import DIMENSIONS
from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME, Merged, merge_shards
from nightglass.engine.shards import SHARD_SCHEMA, Shard
from nightglass.storage import Folder, open_folder


def draw_rows(shard: Shard, random: np.random.Generator) -> list[dict[str, object]]:
    """Rows of a shard's file; every seventh image is quarantined."""
    rows: list[dict[str, object]] = []
    for number in range(shard.start, shard.stop):
        row: dict[str, object] = {"path": f"{number:04d}.png"}
        if number % 7 == 0:
            row |= {"reason": "truncated", "detail": "half a file"}
        else:
            score = float(random.random())
            vector = random.normal(0, 1, DIMENSIONS).astype(np.float16)
            row |= {"sha256": "a", "image_score": score, "is_anomalous": score > 0.9, "vector": vector.tobytes()}
        rows.append(row)
    return rows


@pytest.fixture
def shards() -> list[Shard]:
    """Three shards; the last is one quarantined image."""
    return [Shard(0, 0, 40), Shard(1, 40, 98), Shard(2, 98, 99)]


@pytest.fixture
def rows(shards: list[Shard], source: Folder) -> list[dict[str, object]]:
    """Their rows, which are also in their files."""
    random = np.random.default_rng(0)
    drawn = [draw_rows(shard, random) for shard in shards]
    for shard, part in zip(shards, drawn, strict=True):
        source.write_table(shard.name, pa.Table.from_pylist(part, SHARD_SCHEMA))
    return [row for part in drawn for row in part]


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return open_folder(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return open_folder(tmp_path_factory.mktemp("out"))


def test_row_i_of_the_index_is_row_i_of_the_scores(
    shards: list[Shard], rows: list[dict[str, object]], source: Folder, out: Folder
) -> None:
    merged = merge_shards(shards, source, out, 5)
    scored = [row for row in rows if "vector" in row]
    assert out.read_table(SCORES_NAME)["path"].to_pylist() == [row["path"] for row in scored]
    assert out.read_table(QUARANTINE_NAME)["path"].to_pylist() == [row["path"] for row in rows if "reason" in row]
    assert (merged.scored, merged.quarantined) == (len(scored), len(rows) - len(scored))
    index = faiss.read_index(out.path(INDEX_NAME))
    vectors = np.stack([np.frombuffer(row["vector"], np.float16) for row in scored])
    np.testing.assert_array_equal(index.reconstruct_n(0, index.ntotal), vectors.astype(np.float32))


def test_the_top_are_the_highest_scores_of_all_shards(
    shards: list[Shard], rows: list[dict[str, object]], source: Folder, out: Folder
) -> None:
    scored = sorted((row for row in rows if "image_score" in row), key=lambda row: -float(str(row["image_score"])))
    for top_k in (5, 1000):
        top = merge_shards(shards, source, out, top_k).top
        assert [image.path for image in top] == [row["path"] for row in scored[:top_k]]


def test_a_night_without_a_scored_image_has_empty_results(source: Folder, out: Folder) -> None:
    only = Shard(0, 0, 1)
    source.write_table(only.name, pa.Table.from_pylist(draw_rows(only, np.random.default_rng(0)), SHARD_SCHEMA))
    assert merge_shards([only], source, out, 5) == Merged(quarantined=1)
    assert faiss.read_index(out.path(INDEX_NAME)).ntotal == 0
    assert out.read_table(SCORES_NAME).num_rows == 0
