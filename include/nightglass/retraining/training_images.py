"""Images of several folders by their rows in a training record: how they are opened, and what names a set of them."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from nightglass.engine.training import TrainingImages
from nightglass.images.manifest import Manifest
from nightglass.images.reading import ImageRow
from nightglass.storage import Folders, open_folder


def open_images(table: pa.Table, storage_options: Mapping[str, Any] | None) -> tuple[Folders, list[ImageRow]]:
    """Return the folders of a training record's images, and a row for each image that finds it in them."""
    numbers: dict[str, int] = {}
    rows = []
    columns = ("path", "images_url", "path_in_folder", "raw_path", "size_bytes", "sha256")
    for row in table.select(columns).to_pylist():
        number = numbers.setdefault(row["images_url"], len(numbers))
        name = row["path_in_folder"] if row["raw_path"] is None else os.fsdecode(row["raw_path"])
        rows.append(ImageRow(row["path"], f"{number}/{name}", row["size_bytes"], row["sha256"]))
    folders = tuple(open_folder(url, storage_options if url.startswith("s3://") else None) for url in numbers)
    return Folders(folders), rows


def as_manifest(table: pa.Table, version: str) -> Manifest:
    """Return what the fit needs to know of the images of a training record with this data version."""
    return Manifest(table, 0, version)


def as_training(table: pa.Table, rows: list[ImageRow]) -> TrainingImages:
    """Sort the ``rows`` of a training record by its labels."""
    labels = table["label"].to_pylist()
    return TrainingImages(
        good=[row for row, label in zip(rows, labels, strict=True) if label != "defect"],
        defects=[row for row, label in zip(rows, labels, strict=True) if label == "defect"],
        called_normal=frozenset(row.sha256 for row, label in zip(rows, labels, strict=True) if label == "normal"),
    )


def data_version(table: pa.Table) -> str:
    """Return the sha256 of a training record: the same images with the same labels have the same one."""
    digest = hashlib.sha256()
    lines = zip(*(table[name].to_pylist() for name in ("path", "sha256", "label")), strict=True)
    for path, sha256, label in sorted(lines):
        digest.update(f"{path}\0{sha256}\0{label or ''}\n".encode())
    return digest.hexdigest()
