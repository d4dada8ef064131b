"""The frozen images of an evaluation, as both models are measured on them."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.errors import InputError
from nightglass.images.reading import ImageRow

Flags = NDArray[np.bool_]
_COLUMNS = ["path", "label", "presumed_good", "slices"]


@dataclass(frozen=True)
class FrozenImages:
    """N images: labelled defects ``is_defect (N,)``, those presumed good ``is_good (N,)``, and what is unknown.

    ``slices`` has the names of each image's slices.
    """

    rows: list[ImageRow]
    is_defect: Flags
    is_good: Flags
    slices: list[list[str]]

    @classmethod
    def read(cls, table: pa.Table, rows: list[ImageRow]) -> "FrozenImages":
        """Read the table of a snapshot, whose images are ``rows`` in the same order.

        Raises:
            InputError: A column is missing, a path comes twice or is another than its row's, or an image is both a
                defect and presumed good.
        """
        missing = sorted(set(_COLUMNS) - set(table.column_names))
        if missing:
            raise InputError(f"frozen images: expected the columns {', '.join(_COLUMNS)}, got none named {missing}")
        listed = table.select(_COLUMNS).to_pylist()
        if [row["path"] for row in listed] != [row.path for row in rows]:
            raise InputError(f"frozen images: expected a row for each of {len(listed)} images, got {len(rows)} others")
        paths = {row["path"] for row in listed}
        if len(paths) < len(listed):
            raise InputError(f"frozen images: expected each path once, got {len(listed)} rows of {len(paths)} paths")
        for row in listed:
            if row["label"] == "defect" and row["presumed_good"]:
                raise InputError(f"frozen images: expected a defect or a good image, got both for {row['path']!r}")
        return cls(
            rows=rows,
            is_defect=np.array([row["label"] == "defect" for row in listed], dtype=bool),
            is_good=np.array([bool(row["presumed_good"]) for row in listed], dtype=bool),
            slices=[row["slices"] or [] for row in listed],
        )

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def data_version(self) -> str:
        """Sha256 of what the figures depend on: contents, and what is held to be true of each."""
        lines = sorted(
            json.dumps([row.path, row.sha256, bool(defect), bool(good), names])
            for row, defect, good, names in zip(self.rows, self.is_defect, self.is_good, self.slices, strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def pick(self, kept: Flags) -> "FrozenImages":
        """Return only the images ``kept (N,)``."""
        return FrozenImages(
            rows=[row for row, keep in zip(self.rows, kept, strict=True) if keep],
            is_defect=self.is_defect[kept],
            is_good=self.is_good[kept],
            slices=[names for names, keep in zip(self.slices, kept, strict=True) if keep],
        )

    def find_slices(self, at_most: int) -> dict[str, Flags]:
        """Return the images ``(N,)`` of each slice, of the largest ``at_most`` slices, in the order of their names."""
        members: dict[str, list[int]] = {}
        for number, names in enumerate(self.slices):
            for name in names:
                members.setdefault(name, []).append(number)
        largest = sorted(members, key=lambda name: (-len(members[name]), name))[:at_most]
        flags = {name: np.zeros(len(self), dtype=bool) for name in sorted(largest)}
        for name, is_member in flags.items():
            is_member[members[name]] = True
        return flags
