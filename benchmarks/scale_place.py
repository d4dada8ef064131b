"""Where a synthetic night of the scale benchmark lies, and its images: links to a few small drawn PNG files."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

NIGHT, COLLECTION = "2026-01-02", "scale"
_FILES_A_FOLDER = 10_000  # the files of a folder are links to one image; a file system has a limit on those
_GOOD, _SOURCES = 200, 100
_SIDE = 120  # pixels


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


def draw_images(place: Place, rows: int, *, files_a_folder: int = _FILES_A_FOLDER) -> None:
    """Write good images, and a night of ``rows`` files that are hard links to others like them, one to a folder."""
    place.good.mkdir(parents=True)
    for number in range(_GOOD):
        _draw(number).save(place.good / f"{number:04d}.png")
    folder = place.root / "sources"
    folder.mkdir()
    for number in range(_SOURCES):
        _draw(_GOOD + number).save(folder / f"{number:04d}.png")
    for start in range(0, rows, files_a_folder):
        camera = place.root / "images" / NIGHT / f"camera-{start // files_a_folder:04d}"
        camera.mkdir(parents=True)
        source = folder / f"{start // files_a_folder % _SOURCES:04d}.png"
        for row in range(start, min(start + files_a_folder, rows)):
            os.link(source, camera / f"{row:08d}.png")
    place.collection_file.write_text(
        f"images: {place.root}/images/{{night}}\nschedule: null\nready: {{quiet_minutes: 0}}\n", encoding="utf-8"
    )


def _draw(seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    pixels = np.full((_SIDE, _SIDE), 120.0) + random.normal(0, 5, (_SIDE, _SIDE)) + random.uniform(-8, 8)
    pixels[:: _SIDE // 6] -= 50
    pixels[:, _SIDE // 2] -= 40
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
