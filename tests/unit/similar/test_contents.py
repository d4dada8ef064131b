"""The row of a content in a night: found without reading the night, and never a wrong one."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightglass.similar.contents import KEY_BYTES, find_image, read_contents
from nightglass.similar.night import UnfinishedNightError, read_rows
from nightglass.similar.shelf import Shelf
from tests.unit.similar.scored_nights import scored_night, sha, unit, write_scores


def images(number):
    return {f"line/{place:03d}.png": sha(str(place)) for place in range(number)}


@pytest.fixture
def night(tmp_path):
    """A night of eleven images in four groups of rows."""
    folder = write_scores(tmp_path / "night", images(11), [unit(seed) for seed in range(11)])
    return scored_night(folder, 11)


def test_every_image_is_found_in_its_own_row(night):
    shelf = Shelf(10_000)
    for place, (path, sha256) in enumerate(images(11).items()):
        found = find_image(night, sha256, shelf)
        assert (found.row, found.scores["path"], found.copies) == (place, path, 1)
    assert shelf.kept_bytes == 11 * KEY_BYTES


def test_a_content_that_is_not_there_is_none_even_where_it_starts_like_one(night):
    near = sha("3")[:16] + "0" * 48
    assert near != sha("3")
    for sha256 in (near, sha("none of them"), "0" * 64, "f" * 64):
        assert find_image(night, sha256, Shelf(10_000)) is None


def test_the_first_of_equal_images_is_found_and_the_others_are_counted(tmp_path):
    same = {f"{place:03d}.png": sha("a") if place in {2, 5, 9} else sha(str(place)) for place in range(11)}
    night = scored_night(write_scores(tmp_path, same, [unit(0)] * 11), 11)
    found = find_image(night, sha("a"), Shelf(10_000))
    assert (found.row, found.copies) == (2, 3)


def test_contents_are_sorted_and_whole(night):
    contents = read_contents(night, night.stamp())
    assert (np.diff(contents.keys.astype(object)) > 0).all()
    assert sorted(contents.rows.tolist()) == list(range(11))


def test_only_the_rows_asked_for_come_in_the_order_asked(night):
    rows = read_rows(night, [9, 0, 3, 9], ["path"])
    assert [row["path"] for row in rows] == ["line/009.png", "line/000.png", "line/003.png", "line/009.png"]
    for wrong in ([11], [-1], [0, 10**9]):
        with pytest.raises(UnfinishedNightError):
            read_rows(night, wrong)


def test_a_night_in_work_is_told(night):
    folder = night.folder.root
    find_image(night, sha("3"), Shelf(10_000))
    shutil.move(f"{folder}/summary.json", f"{folder}/elsewhere.json")
    with pytest.raises(UnfinishedNightError, match="2026-07-24: it is being scored again"):
        find_image(night, sha("3"), Shelf(10_000))


def test_another_set_of_scores_is_read_anew(night, tmp_path):
    shelf = Shelf(10_000)
    assert find_image(night, sha("3"), shelf).row == 3
    other = dict(reversed(images(11).items()))
    write_scores(tmp_path / "night", other, [unit(seed) for seed in range(11)])
    assert find_image(night, sha("3"), shelf).row == 7


@pytest.mark.parametrize("text", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_damaged_scores_are_told(night, tmp_path, text):
    (tmp_path / "night/scores.parquet").write_bytes(text)
    with pytest.raises(UnfinishedNightError):
        find_image(night, sha("3"), Shelf(10_000))


def test_scores_without_contents_are_told(night, tmp_path):
    table = pa.table({"path": ["a"] * 11, "sha256": ["abc"] * 11})
    pq.write_table(table, tmp_path / "night/scores.parquet")
    with pytest.raises(UnfinishedNightError, match="sha256"):
        find_image(night, sha("3"), Shelf(10_000))


def test_of_contents_that_start_alike_each_is_found_with_its_own_copies(tmp_path):
    one, other = "ab" * 8 + "0" * 48, "ab" * 8 + "1" * 48
    images = {"a.png": one, "b.png": other, "c.png": sha("c"), "d.png": other, "e.png": one}
    night, shelf = scored_night(write_scores(tmp_path, images, [unit(0)] * 5), 5), Shelf(10_000)
    for _ in range(2):  # the second time from memory
        assert [
            (found.row, found.copies) for found in (find_image(night, one, shelf), find_image(night, other, shelf))
        ] == [
            (0, 2),
            (1, 2),
        ]
    assert find_image(night, "ab" * 8 + "2" * 48, shelf) is None
