"""Lay out the demo's nights: which photograph of a solar cell goes where, always the same way.

The rule is in README.md next to this file, the outcome in ``layout.csv`` next to the images. No cell is in two
folders.
"""

import csv
import os
import random
import shutil
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path

COLLECTION = "solar-cells"
TRAINING = "training"
QUIET_NIGHTS = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")
CHANGED_NIGHT = "2026-03-06"
LATER_NIGHT = "2026-03-07"
NIGHTS = (*QUIET_NIGHTS, CHANGED_NIGHT, LATER_NIGHT)
MARKER = "complete.txt"
SEED = 20260302

#: Cells of each folder as (good mono, good poly, defective mono, defective poly).
CELLS = {
    TRAINING: (200, 0, 0, 0),
    **dict.fromkeys(QUIET_NIGHTS, (60, 0, 2, 0)),
    CHANGED_NIGHT: (50, 150, 2, 8),
    LATER_NIGHT: (90, 70, 2, 4),
}


@dataclass(frozen=True)
class Placement:
    """One cell and where it goes; ``label`` is ``normal`` (defect probability 0) or ``defect`` (1).

    ``path`` begins with the cell's type, as if the line sorted them: the collection's file makes that a slice.
    """

    folder: str
    path: str
    label: str
    cell_type: str


def lay_out(images: Path) -> None:
    """Write every folder below ``images``; one that a run before has finished is left as it is."""
    if (images / "layout.csv").exists():
        return
    shutil.rmtree(images, ignore_errors=True)
    with as_file(files("elpv_dataset") / "data") as data:
        placements = list(_place(data / "labels.csv"))
        for placement, taken_at in zip(placements, _times(placements), strict=True):
            target = images / placement.folder / placement.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / "images" / target.name, target)
            os.utime(target, (taken_at, taken_at))
    for name, content in _damaged_files(images / CHANGED_NIGHT / "poly").items():
        (images / CHANGED_NIGHT / name).write_bytes(content)
    for folder in CELLS:
        (images / folder / MARKER).write_text("all images of this folder have arrived\n", encoding="utf-8")
    with (images / "layout.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Placement))
        rows.writerows(astuple(placement) for placement in placements)


def _place(labels: Path) -> Iterator[Placement]:
    """Deal the cells of each kind out to the folders, in an order shuffled with a fixed seed."""
    decks = _read_cells(labels)
    for deck in decks.values():
        deck.sort()
        random.Random(SEED).shuffle(deck)  # noqa: S311 - the same order everywhere, not a secret
    for folder, counts in CELLS.items():
        for (label, cell_type), count in zip(decks, counts, strict=True):
            deck = decks[label, cell_type]
            drawn = sorted(deck[:count])
            del deck[:count]
            yield from (Placement(folder, f"{cell_type}/{name}", label, cell_type) for name in drawn)


def _times(placements: list[Placement]) -> list[float]:
    """Return when each cell was photographed: in its folder's night from 18:00 UTC on, ten seconds apart, shuffled."""
    places = list(range(len(placements)))
    random.Random(SEED).shuffle(places)  # noqa: S311 - the same order everywhere, not a secret
    taken: Counter[str] = Counter()
    times = [0.0] * len(placements)
    for place in places:
        folder = placements[place].folder
        night = QUIET_NIGHTS[0] if folder == TRAINING else folder
        start = datetime.fromisoformat(f"{night}T18:00+00:00") - timedelta(days=7 if folder == TRAINING else 0)
        times[place] = start.timestamp() + 10 * taken[folder]
        taken[folder] += 1
    return times


def _read_cells(labels: Path) -> dict[tuple[str, str], list[str]]:
    """Return the names of the cells by label and type; those whose label is uncertain are left out."""
    decks: dict[tuple[str, str], list[str]] = {
        (label, cell_type): [] for label in ("normal", "defect") for cell_type in ("mono", "poly")
    }
    known = {0.0: "normal", 1.0: "defect"}
    for line in labels.read_text(encoding="utf-8").splitlines():
        path, probability, cell_type = line.split()
        if float(probability) in known:
            decks[known[float(probability)], cell_type].append(Path(path).name)
    return decks


def _damaged_files(night: Path) -> dict[str, bytes]:
    """Return eight files that are no readable image, each of another kind."""
    whole = next(iter(sorted(night.glob("*.png")))).read_bytes()
    return {
        "damaged-empty.png": b"",
        "damaged-truncated.png": whole[: len(whole) // 2],
        "damaged-text.png": b"The camera was not ready.\n",
        "damaged-zeros.png": bytes(4096),
        "damaged-enormous.png": _png_header(60_000, 60_000),
        "damaged-header-only.png": whole[:33],
        "damaged-flipped.png": whole[:2000] + bytes(byte ^ 0xFF for byte in whole[2000:4000]) + whole[4000:],
        "damaged-wrong-name.jpg": whole,
    }


def _png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises ``width`` x ``height`` pixels and holds next to none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
