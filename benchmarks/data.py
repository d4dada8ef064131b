"""Images for the benchmarks: ELPV's solar cells in folders, large JPEGs made from them, and `good/ bad/` folders.

ELPV comes with the package ``elpv-dataset`` (CC BY-NC-SA 4.0). Folders are made once, below ``NIGHTGLASS_HOME/bench``.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import BenchmarkError, bench_home

LARGE_SIZE = (4000, 3000)
_LARGE_QUALITY = 88
_GRAIN = 5.0  # standard deviation of the sensor's noise, grey levels
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Cell:
    """A solar cell of ELPV; ``label`` is ``normal`` (defect probability 0), ``defect`` (1) or ``unsure``."""

    file: Path
    label: str
    cell_type: str

    @property
    def name(self) -> str:
        """File name."""
        return self.file.name


@dataclass(frozen=True)
class Split:
    """Cells of one run of the ELPV protocol."""

    train: list[Cell]
    test: list[Cell]


def read_cells() -> list[Cell]:
    """Return all 2,624 cells in the data set's own order."""
    try:
        root = Path(str(files("elpv_dataset") / "data"))
    except ModuleNotFoundError as error:
        raise BenchmarkError("expected the package elpv-dataset (requirements-demo.txt), not installed") from error
    labels = {0.0: "normal", 1.0: "defect"}
    rows = [line.split() for line in (root / "labels.csv").read_text(encoding="utf-8").splitlines()]
    return [Cell(root / path, labels.get(float(share), "unsure"), kind) for path, share, kind in rows]


def split_cells(seed: int = 0) -> Split:
    """Return the protocol's split: three quarters of the good cells to train on, the rest and the defects to test.

    Seed 0 is the published split (scikit-learn's ``random_state=42``); cells of one module can fall on both sides.
    """
    from sklearn.model_selection import train_test_split

    cells = read_cells()
    good = [cell for cell in cells if cell.label == "normal"]
    train, test = train_test_split(good, test_size=0.25, random_state=42 + seed)
    return Split(train, test + [cell for cell in cells if cell.label == "defect"])


def thin_out(cells: Sequence[Cell], count: int | None) -> list[Cell]:
    """Return ``count`` cells spread evenly over ``cells``, or all of them."""
    if count is None or count >= len(cells):
        return list(cells)
    return [cells[i * len(cells) // count] for i in range(count)]


def image_folder(name: str, images: Iterable[Path]) -> Path:
    """Return the folder ``NAME`` of the benchmarks with links to ``images``, made when it is not there."""
    chosen = list(images)
    return make_folder(f"{name}-{len(chosen)}", lambda folder: link_into(folder, chosen))


def link_into(folder: Path, images: Iterable[Path]) -> None:
    """Put ``images`` into ``folder`` as hard links, or as copies where the file system has none."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        try:
            os.link(image, folder / image.name)
        except OSError:
            shutil.copyfile(image, folder / image.name)


def copies_folder(source: Path, times: int) -> Path:
    """Return a folder that holds the images of ``source`` ``times`` over, each time in a folder of its own."""
    images = list_images(source)

    def fill(folder: Path) -> None:
        for number in range(times):
            link_into(folder / f"{number:03d}", images)

    return make_folder(f"{source.name}-x{times}", fill)


def large_jpegs(count: int) -> Path:
    """Return a folder of ``count`` JPEGs of 4000 x 3000 pixels, each a cell enlarged, with grain like a camera's."""
    cells = thin_out([cell for cell in read_cells() if cell.label != "unsure"], count)

    def fill(folder: Path) -> None:
        _in_threads(_enlarge, [(cell, folder, seed) for seed, cell in enumerate(cells)])

    return make_folder(f"large-{len(cells)}", fill)


def turned_cells(cells: Sequence[Cell], count: int) -> Path:
    """Return a folder of ``count`` different images: the ``cells``, then the cells mirrored and turned.

    Raises:
        BenchmarkError: There are not as many.
    """
    turns: list[Image.Transpose | None] = [None, *Image.Transpose]
    wanted = [(cell, turn) for turn in turns for cell in cells][:count]
    if len(wanted) < count:
        raise BenchmarkError(f"expected at most {len(wanted)} different cells, mirrored and turned, got {count}")

    def turn_one(cell: Cell, turn: Image.Transpose | None, folder: Path) -> None:
        with Image.open(cell.file) as image:
            turned = image if turn is None else image.transpose(turn)
            name = "as-it-is" if turn is None else turn.name.lower()
            turned.save(folder / f"{cell.file.stem}-{name}.png", compress_level=1)

    return make_folder(f"turned-{count}", lambda folder: _in_threads(turn_one, [(*job, folder) for job in wanted]))


def list_images(folder: Path) -> list[Path]:
    """Return the image files below ``folder`` in name order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)


def make_folder(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the benchmarks' folder ``name``; when it is not there, ``fill`` writes it, whole or not at all."""
    folder = bench_home() / "images" / name
    if not folder.is_dir():
        unfinished = folder.with_name(f".{name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        fill(unfinished)
        unfinished.rename(folder)
    return folder


def _in_threads(work: Callable[..., None], jobs: Iterable[tuple[Any, ...]]) -> None:
    """Call ``work`` with the arguments of every job; the first failure is raised."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(work, *job) for job in jobs]:
            done.result()


def _enlarge(cell: Cell, folder: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    with Image.open(cell.file) as image:
        enlarged = np.asarray(image.convert("L").resize(LARGE_SIZE, Image.Resampling.BICUBIC), np.float32)
    # One noise image rolled for each channel costs a third of three and looks the same to a decoder.
    grain = random.standard_normal(enlarged.shape, np.float32) * _GRAIN
    channels = [np.clip(enlarged + np.roll(grain, 97 * channel, axis=1), 0, 255) for channel in range(3)]
    picture = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))
    picture.save(folder / f"{cell.file.stem}.jpg", quality=_LARGE_QUALITY)


def copy_fully_decoded(images: Path, size: int) -> Path:
    """Return a folder of PNGs ``size`` x ``size``: ``images``, each decoded in full and then made smaller by Pillow."""
    sources = list_images(images)

    def shrink(source: Path, folder: Path) -> None:
        with Image.open(source) as image:
            small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        small.save(folder / f"{source.stem}.png")

    def fill(folder: Path) -> None:
        _in_threads(shrink, [(source, folder) for source in sources])

    return make_folder(f"{images.name}-full-{size}", fill)
