"""What a verdict can be on: the images of a listed night, their contents and their slices."""

import difflib
from collections import Counter
from collections.abc import Collection as AnyCollection
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from nightglass.errors import InputError
from nightglass.images.manifest_file import MANIFEST_NAME, read_manifest
from nightglass.images.slices import slices_of
from nightglass.storage import Folder

_SUGGESTIONS = 3
_NEIGHBORS = 250  # of a name that is not there, on either side: comparing it with a million others takes minutes


class ListedNight:
    """The manifest of a night, read when it is first needed."""

    def __init__(self, out: Folder, slice_pattern: str | None) -> None:
        """Name what to read.

        Args:
            out: The night's score folder.
            slice_pattern: The collection's ``slices``.
        """
        self._out = out
        self._slice_pattern = slice_pattern

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def find_content(self, path: str) -> str:
        """Return the sha256 of an image.

        Raises:
            InputError: The night has no such image, or it could not be read, or the night was never listed.
        """
        found = self.find_contents([path])
        if path not in found:
            near = ", ".join(repr(name) for name in self._suggest(path))
            hint = f"; near it: {near}" if near else ""
            raise InputError(f"{self._out.url}: expected an image of the night, got {path!r}{hint}")
        sha256 = found[path]
        if sha256 is None:
            raise InputError(f"{self._out.url}: expected an image that can be read, got {path!r}, which is quarantined")
        return sha256

    def find_contents(self, paths: AnyCollection[str]) -> dict[str, str | None]:
        """Return the sha256 of those ``paths`` that the night has; None for what could not be read."""
        table = self._table
        chosen = table.filter(pc.is_in(table["path"], pa.array(list(paths), pa.string())))
        return dict(zip(chosen["path"].to_pylist(), chosen["sha256"].to_pylist(), strict=True))

    def count_copies(self, sha256: str) -> int:
        """Return how many images of the night have this content."""
        return int(pc.sum(pc.equal(self._table["sha256"], sha256)).as_py() or 0)

    def count_slice(self, name: str) -> int:
        """Return how many images a slice such as ``camera=left`` has.

        Raises:
            InputError: It has none, or the collection has no slices.
        """
        if self._slice_pattern is None:
            raise InputError(f"--slice: expected a collection with slices in its file, got none and {name!r}")
        count = self._slice_counts[name]
        if not count:
            known = sorted(self._slice_counts)
            near = difflib.get_close_matches(name, known, n=_SUGGESTIONS, cutoff=0) or known[:_SUGGESTIONS]
            shown = ", ".join(repr(each) for each in near) or "none"
            raise InputError(f"{self._out.url}: expected a slice of the night (such as {shown}), got {name!r}")
        return count

    @cached_property
    def _slice_counts(self) -> Counter[str]:
        paths = self._table["path"].to_pylist()
        return Counter(name for path in paths for name in slices_of(path, self._slice_pattern))

    @cached_property
    def _table(self) -> pa.Table:
        if not self._out.exists(MANIFEST_NAME):
            raise InputError(f"{self._out.url}: expected a night that was scored, got no {MANIFEST_NAME}")
        return read_manifest(self._out, columns=("path", "sha256")).table

    def _suggest(self, path: str) -> list[str]:
        """Return names that may be meant: the same file name in any folder and case, or a similar one nearby."""
        paths = self._table["path"]
        file_name = path.rpartition("/")[2].lower()
        lowered = pc.utf8_lower(paths)
        same = pc.or_(pc.equal(lowered, file_name), pc.ends_with(lowered, pattern=f"/{file_name}"))
        found: list[str] = paths.filter(same).slice(0, _SUGGESTIONS).to_pylist()
        if found:
            return found
        place = int(pc.sum(pc.less(paths, path)).as_py() or 0)  # the manifest is in the order of its paths
        around = paths.slice(max(0, place - _NEIGHBORS), 2 * _NEIGHBORS).to_pylist()
        return difflib.get_close_matches(path, around, n=_SUGGESTIONS)
