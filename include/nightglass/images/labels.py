"""Labels of images: a CSV ``path,label`` with the label ``defect`` or ``normal``."""

import csv
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from nightglass.errors import InputError
from nightglass.images.manifest import Manifest

Label = Literal["defect", "normal"]
_LABELS: dict[str, Label] = {"defect": "defect", "normal": "normal"}


def read_labels(path: Path) -> dict[str, Label]:
    """Return the label of each path.

    Raises:
        InputError: The file is missing, has another header, an unknown label, or two labels for one path.
    """
    labels: dict[str, Label] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames is None or not {"path", "label"} <= set(reader.fieldnames):
                got = ",".join(reader.fieldnames or []) or "an empty file"
                raise InputError(f"{path}: expected the header path,label, got {got[:100]}")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                name, label = (row["path"] or "").removeprefix("./"), _LABELS.get(row["label"])
                if not name:
                    raise InputError(f"{where}: expected a path and a label, got no path")
                if label is None:
                    raise InputError(f"{where}: expected the label defect or normal, got {row['label']!r}")
                if labels.setdefault(name, label) != label:
                    raise InputError(f"{where}: expected one label a path, got a second one for {name!r}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a readable CSV file with path,label, got {error}") from error
    return labels


def count_unknown_labels(labels: dict[str, Label], manifest: Manifest, source: Path | None) -> int:
    """Return how many labels are of no image of the manifest.

    Raises:
        InputError: There are labels, and all of them are of no image.
    """
    known = pc.is_in(pa.array(list(labels), pa.string()), manifest.table["path"])
    unknown = len(labels) - (pc.sum(known).as_py() or 0)
    if labels and unknown == len(labels):
        example = next(iter(labels))
        raise InputError(
            f"{source}: expected paths relative to the folder of images, none matches, such as {example!r}"
        )
    return unknown
