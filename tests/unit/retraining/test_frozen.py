"""Frozen images, and the good ones among them that defects are drawn into."""

import numpy as np
import pyarrow as pa
import pytest

from nightglass.errors import InputError
from nightglass.images.reading import ImageRow
from nightglass.retraining import drawn
from nightglass.retraining.drawn import DrawnImages, choose_bases, resize
from nightglass.retraining.frozen import FrozenImages


def make(count: int, **columns: list) -> tuple[pa.Table, list[ImageRow]]:
    paths = columns.pop("path", [f"{number:04d}.png" for number in range(count)])
    usual = {
        "path": paths,
        "label": pa.array([None] * count, pa.string()),
        "presumed_good": [True] * count,
        "slices": [["camera=left"]] * count,
    }
    return pa.table(usual | columns), [ImageRow(path, path, 1, f"{path}-sha") for path in paths]


def test_what_an_image_is_decides_the_data_version_and_its_place_does_not() -> None:
    table, rows = make(6)
    version = FrozenImages.read(table, rows).data_version
    turned = FrozenImages.read(table.take(list(range(5, -1, -1))), rows[::-1])
    assert turned.data_version == version
    relabelled, _ = make(6, presumed_good=[False] + [True] * 5)
    assert FrozenImages.read(relabelled, rows).data_version != version


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a", "a", "b"]}, "expected each path once, got 3 rows of 2 paths"),
        ({"label": ["defect", None, None]}, "expected a defect or a good image, got both for '0000.png'"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(columns: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FrozenImages.read(*make(3, **columns))


def test_rows_of_other_images_and_missing_columns_are_refused() -> None:
    table, rows = make(3)
    with pytest.raises(InputError, match="a row for each of 3 images, got 2 others"):
        FrozenImages.read(table, rows[:2])
    with pytest.raises(InputError, match=r"got none named \['slices'\]"):
        FrozenImages.read(table.drop_columns(["slices"]), rows)


def test_the_largest_slices_are_kept_when_every_image_names_its_own() -> None:
    frozen = FrozenImages.read(*make(30, slices=[["camera=left", f"serial={number}"] for number in range(30)]))
    kept = frozen.find_slices(3)
    assert len(kept) == 3
    assert kept["camera=left"].all()
    assert list(kept) == sorted(kept)


def test_small_slices_get_their_share_of_the_images_that_are_drawn_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "_MOST_IMAGES", 100)
    slices = [["camera=rare"] if number < 20 else ["camera=usual"] for number in range(2000)]
    table, rows = make(2000, slices=slices, presumed_good=[number % 2 == 0 for number in range(2000)])
    bases = choose_bases(FrozenImages.read(table, rows), 64, 10)
    assert len(bases) == 100 == len(set(bases))
    assert (bases < 20).sum() == 10  # all good ones of the rare slice
    assert not (bases % 2).any()
    order = np.random.default_rng(0).permutation(2000)
    turned = FrozenImages.read(table.take(order), [rows[number] for number in order])
    assert {turned.rows[row].path for row in choose_bases(turned, 64, 10)} == {rows[row].path for row in bases}


def test_large_images_are_bounded_by_memory() -> None:
    table, rows = make(300)
    assert len(choose_bases(FrozenImages.read(table, rows), 1024, 10)) == 85


def test_the_same_images_get_the_same_defects_and_each_gets_one() -> None:
    good = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3)).astype(np.uint8)
    once, twice = DrawnImages.draw(good), DrawnImages.draw(good)
    assert (once.defects == twice.defects).all()
    assert all((image != other).any() for image, other in zip(once.good, once.defects, strict=True))
    assert resize(good, 64) is good
    assert resize(good, 32).shape == (12, 32, 32, 3)
