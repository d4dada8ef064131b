"""The drill's nights: the demo's solar cells, then the same cells under a lamp that fades, step by step."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from layout import LATER_NIGHT, MARKER, QUIET_NIGHTS, TRAINING, lay_out

COLLECTION = "drill-cells"
#: How much of its light the lamp still gives, night by night; the drill stops at the first that asks for a new model.
LIGHT = (0.99, 0.97, 0.94, 0.9, 0.85, 0.75)
CALM_NIGHTS = QUIET_NIGHTS
DARK_NIGHTS = tuple(f"2026-03-{day:02}" for day in range(6, 6 + len(LIGHT)))
MENDED_NIGHT = "2026-03-20"
DARK_TRAINING = "training-in-the-dark"

COLLECTION_FILE = """\
# Written by `make drill`.
description: Solar cells under a lamp that fades, the collection of `make drill`
images: ${NIGHTGLASS_HOME}/images/{night}
schedule: null
ready: {marker: complete.txt, poll_seconds: 10}
# The drill promotes by hand, and wrongly.
retraining: {automatic: false}
alerts: {about: [retrain, hold, watch, failure, rollback]}
"""


def lay_out_drill(demo_images: Path, images: Path) -> None:
    """Write every night below ``images`` from the demo's, which are laid out where they are not there yet.

    A dark night has the good and defective cells of a calm one, with less light.
    """
    lay_out(demo_images)
    for night in CALM_NIGHTS:
        _write_night(_cells(demo_images / night), images / night, 1.0)
    for number, (night, light) in enumerate(zip(DARK_NIGHTS, LIGHT, strict=True)):
        _write_night(_cells(demo_images / CALM_NIGHTS[number % len(CALM_NIGHTS)]), images / night, light)
    _write_night(_cells(demo_images / LATER_NIGHT), images / MENDED_NIGHT, 1.0)


def darken_training(demo_images: Path, images: Path, light: float) -> Path:
    """Write the good cells that the champion knows as the faded lamp would show them; return their folder."""
    _write_night(_cells(demo_images / TRAINING), images / DARK_TRAINING, light)
    return images / DARK_TRAINING


def _cells(folder: Path) -> list[Path]:
    """Return the monocrystalline cells of a folder: what the champion was fitted on."""
    return sorted((folder / "mono").glob("*.png"))


def _write_night(cells: Iterable[Path], folder: Path, light: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        if light == 1.0:
            shutil.copyfile(cell, folder / cell.name)
            continue
        with Image.open(cell) as image:
            image.point(lambda level: round(level * light)).save(folder / cell.name)
    (folder / MARKER).write_text("all images of this folder have arrived\n", encoding="utf-8")
