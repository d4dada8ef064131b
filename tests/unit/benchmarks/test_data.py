from pathlib import Path

import numpy as np
import pytest
from benchmarks.common import BenchmarkError, bench_home
from benchmarks.data import Cell, copies_folder, list_images, make_folder, thin_out, turned_cells
from PIL import Image


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def draw_cells(folder: Path, count: int) -> list[Cell]:
    """Small images without any symmetry."""
    folder.mkdir()
    cells = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"cell-{number}.png")
        cells.append(Cell(folder / f"cell-{number}.png", "normal", "mono"))
    return cells


def test_a_folder_is_made_once():
    calls = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "a.txt").write_text("a", encoding="utf-8")

    assert make_folder("letters", fill) == make_folder("letters", fill) == bench_home() / "images/letters"
    assert len(calls) == 1
    assert (bench_home() / "images/letters/a.txt").read_text(encoding="utf-8") == "a"


def test_a_folder_that_could_not_be_filled_is_not_there_and_leaves_nothing_in_the_next_one():
    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half", encoding="utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_folder("letters", fail)
    assert not (bench_home() / "images/letters").exists()
    made = make_folder("letters", lambda folder: (folder / "whole.txt").touch())
    assert [path.name for path in made.iterdir()] == ["whole.txt"]


def test_copies_hold_every_image_so_often_and_are_equal(tmp_path):
    cells = draw_cells(tmp_path / "cells", 3)
    copies = copies_folder(tmp_path / "cells", 4)
    names = [path.relative_to(copies).as_posix() for path in list_images(copies)]
    assert names == [f"{number:03d}/cell-{cell}.png" for number in range(4) for cell in range(3)]
    assert {path.read_bytes() for path in list_images(copies)} == {cell.file.read_bytes() for cell in cells}


@pytest.mark.parametrize(
    ("count", "chosen"), [(None, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4]), (2, [0, 2]), (3, [0, 1, 3]), (1, [0])]
)
def test_thinning_spreads_over_the_whole(tmp_path, count, chosen):
    cells = draw_cells(tmp_path / "cells", 5)
    assert thin_out(cells, count) == [cells[i] for i in chosen]


def test_turned_cells_are_all_different_and_begin_with_the_cells_themselves(tmp_path):
    cells = draw_cells(tmp_path / "cells", 2)
    turned = list_images(turned_cells(cells, 16))
    assert len({Image.open(path).tobytes() for path in turned}) == len(turned) == 16
    first = {path.stem for path in list_images(turned_cells(cells, 2))}
    assert first == {"cell-0-as-it-is", "cell-1-as-it-is"}
    with pytest.raises(BenchmarkError, match=r"expected at most 16 .* got 17"):
        turned_cells(cells, 17)
