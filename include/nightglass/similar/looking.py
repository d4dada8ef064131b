"""The images of one night by falling similarity, asked of its index a few at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from nightglass.similar.contents import find_contents
from nightglass.similar.night import ScoredNight, Stamp, UnfinishedNightError, read_rows
from nightglass.similar.shelf import Shelf
from nightglass.similar.vectors import find_index

_SHOWN_COLUMNS = ("path", "sha256", "image_score", "is_anomalous")


@dataclass(frozen=True, eq=False)
class Asked:
    """A night and the vector ``(1, 128)`` to look for there; ``is_exact`` where the night's own version made it."""

    night: ScoredNight
    vector: NDArray[np.float32]
    is_exact: bool


@dataclass(frozen=True, eq=False)
class Place:
    """A row of a night and how similar it is."""

    asked: Asked
    row: int
    similarity: float


class NightSearch:
    """What a search found in one night so far.

    Args:
        asked: The night and what is looked for.
        shelf: Keeps its index, and where it has many copies its contents.
        is_settled: Tells whether what was read of the night by now is what was published of it.
    """

    def __init__(self, asked: Asked, shelf: Shelf, is_settled: Callable[[ScoredNight], bool]) -> None:
        self.night = asked.night
        self.unread: list[Place] = []
        self.rows: dict[Place, dict[str, Any]] = {}
        self.is_complete = False
        self.asked = asked
        self._shelf = shelf
        self._is_settled = is_settled
        self._stamp: Stamp = ()
        self._seen: list[int] = []
        self._last = 1.0

    @property
    def best_left(self) -> float | None:
        """No image that was not read yet is more similar; None where none is left."""
        if self.unread:
            return self.unread[0].similarity
        return None if self.is_complete else self._last

    def look_further(self, most: int) -> None:
        """Find the next ``most`` similar rows, without copies of what was read of the night.

        One image may be there a million times: the night's sorted contents say which rows are its copies, unread.

        Raises:
            UnfinishedNightError: The results cannot be read, do not belong together, or are not those of before.
            StorageError: The night's store does not answer.
        """
        index, stamp = find_index(self.night, self._shelf)
        if self._seen and stamp != self._stamp:
            raise UnfinishedNightError(f"{self.night.where}: it was scored again meanwhile")
        self._stamp = stamp
        parameters = None
        left = self.night.scored
        if self._seen:
            is_open = self._choose_open()
            left = int(is_open.sum())
            # FAISS keeps no reference to the bits: they need a name for as long as it searches.
            bits = np.packbits(is_open, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # FAISS describes the C++ one
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # as above
        self.is_complete = left <= most
        if left:
            similarity, rows = index.search(self.asked.vector, min(most, left), params=parameters)
            found = list(zip(rows[0].tolist(), similarity[0].tolist(), strict=True))
            self._seen += [row for row, _ in found]
            self.unread += [Place(self.asked, row, min(1.0, value)) for row, value in found]
            self._last = self.unread[-1].similarity
        self._check_settled()

    def read(self, places: Sequence[Place]) -> None:
        """Read path, content and score of some of the unread rows.

        Raises:
            UnfinishedNightError: They cannot be read, or belong to other results.
            StorageError: The night's store does not answer.
        """
        rows = read_rows(self.night, [place.row for place in places], _SHOWN_COLUMNS)
        self.night.check_stamp(self._stamp)
        self._check_settled()
        self.rows |= dict(zip(places, rows, strict=True))
        self.unread = [place for place in self.unread if place not in self.rows]

    def _choose_open(self) -> NDArray[np.bool_]:
        """Tell of each row whether it is neither known nor a copy of one that was read ``(N,)``."""
        listed = find_contents(self.night, self._stamp, self._shelf)
        if len(listed.rows) != self.night.scored:
            expected = f"expected {self.night.scored} rows of scores"
            raise UnfinishedNightError(f"{self.night.where}: {expected}, got {len(listed.rows)}")
        is_open = np.ones(self.night.scored, bool)
        is_open[self._seen] = False
        for sha256 in {row["sha256"] for row in self.rows.values()}:
            is_open[listed.find(sha256)] = False
        return is_open

    def _check_settled(self) -> None:
        if not self._is_settled(self.night):
            raise UnfinishedNightError(f"{self.night.where}: it is being scored again")
