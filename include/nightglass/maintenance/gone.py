"""How the files of a score folder know an image that is to go: by its content, its paths, or its name in a detector."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightglass.maintenance.deletion_records import HIDDEN, DeletionRequest, place_digest

_PICTURES = ("image", "anomaly_map", "thumbnail")


@dataclass(frozen=True)
class Gone:
    """An image of one night.

    ``paths`` are its names in the night, and ``good_names`` those that a detector's memory bank has for it.
    """

    digest: str
    paths: frozenset[str]
    good_names: frozenset[str] = frozenset()

    def rows_of(self, table: pa.Table) -> pa.BooleanArray:
        """Tell of each row whether it is about the image ``(N,)``."""
        is_gone = pc.is_in(table["path"], pa.array(sorted(self.paths), pa.string()))
        if "sha256" in table.column_names:
            is_gone = pc.or_(is_gone, pc.fill_null(pc.equal(table["sha256"], self.digest), False))
        return is_gone

    def hides(self, table: pa.Table) -> pa.Table:
        """Return the table without the image's name as the nearest good one."""
        if "nearest_path" not in table.column_names or not self.good_names:
            return table
        is_named = pc.is_in(table["nearest_path"], pa.array(sorted(self.good_names), pa.string()))
        place = table.schema.get_field_index("nearest_path")
        return table.set_column(place, table.schema.field(place), pc.if_else(is_named, HIDDEN, table["nearest_path"]))


@dataclass
class Dropped:
    """What was left out of a record: how many images, and the pictures that it named."""

    images: int = 0
    neighbors: int = 0
    pictures: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was."""
        return not (self.images or self.neighbors)


def find_gone(request: DeletionRequest, night: str, manifest: pa.Table, good_names: frozenset[str]) -> Gone:
    """Return how a night knows the image; ``manifest`` has ``path`` and ``sha256``."""
    if request.night is None:
        is_same = pc.fill_null(pc.equal(manifest["sha256"], request.digest), False)
        return Gone(request.digest, frozenset(manifest["path"].filter(is_same).to_pylist()), good_names)
    paths: list[str] = manifest["path"].filter(pc.is_null(manifest["sha256"])).to_pylist()
    same = {path for path in paths if request.night == night and place_digest(night, path) == request.digest}
    return Gone(request.digest, frozenset(same), good_names)


def leave_out(record: Any, gone: Gone, dropped: Dropped) -> Any:  # noqa: ANN401  whatever JSON can hold
    """Return a record without the image, wherever in it a list has an entry about it."""
    if isinstance(record, dict):
        return {name: _hide(name, leave_out(value, gone, dropped), gone) for name, value in record.items()}
    if not isinstance(record, list):
        return record
    kept = []
    for entry in record:
        if isinstance(entry, dict) and _is_about(entry, gone):
            dropped.images += 1
            dropped.pictures |= set(_pictures_of(entry))
        elif isinstance(entry, dict) and "distance" in entry and entry.get("path") in gone.good_names:
            dropped.neighbors += 1
            dropped.pictures |= set(_pictures_of(entry))
        else:
            kept.append(leave_out(entry, gone, dropped))
    return kept


def _is_about(entry: dict[str, Any], gone: Gone) -> bool:
    if "sha256" in entry:
        return bool(entry["sha256"] == gone.digest)
    return "distance" not in entry and entry.get("path") in gone.paths


def _pictures_of(entry: dict[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        if name in _PICTURES and isinstance(value, str) and value:
            yield value
        for inner in value if isinstance(value, list) else ():
            if isinstance(inner, dict):
                yield from _pictures_of(inner)


def _hide(name: str, value: object, gone: Gone) -> object:
    """Take the image's name out of what an expectation observed, where it gives examples."""
    if name == "observed" and isinstance(value, str):
        for path in sorted(gone.paths, key=len, reverse=True):
            value = value.replace(path, HIDDEN)
    return value
