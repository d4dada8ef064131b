"""Which row of a night an image is, found by its content without reading the night for each question."""

import string
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.similar.night import ScoredNight, Stamp, UnfinishedNightError, open_scores, read_rows
from nightglass.similar.shelf import Shelf

KEY_BYTES = 12  # of a row: eight of its sha256, four for its number
_KEPT_ROWS_BYTES = 512  # what a list of rows takes beside them
_HEX_DIGITS = 64
_USED_DIGITS = 16
_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[[ord(digit) for digit in string.hexdigits.lower()[:16]]] = range(16)


@dataclass(frozen=True)
class Contents:
    """The start of the sha256 of every row, sorted: ``keys (N,)`` uint64, and ``rows (N,)`` uint32 beside them."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.uint32]

    def find(self, sha256: str) -> NDArray[np.uint32]:
        """Return the rows whose content starts with the first 64 bits of ``sha256``, lowest first."""
        key = np.frombuffer(bytes.fromhex(sha256[:_USED_DIGITS]), np.uint64)[0]
        return self.rows[np.searchsorted(self.keys, key) : np.searchsorted(self.keys, key, side="right")]


@dataclass(frozen=True)
class FoundImage:
    """An image of a night: its row, every column of its scores, and how many rows have the same content."""

    row: int
    scores: dict[str, Any]
    copies: int
    stamp: Stamp


def find_image(night: ScoredNight, sha256: str, shelf: Shelf) -> FoundImage | None:
    """Return the first image of the night with this content; None where the night has none.

    Args:
        night: The night.
        sha256: 64 hexadecimal digits, lower case.
        shelf: Keeps the night's sorted contents, 12 bytes an image.

    Raises:
        UnfinishedNightError: The night's results cannot be read, or changed meanwhile.
    """
    stamp = night.stamp()
    rows = find_contents(night, stamp, shelf).find(sha256)
    if len(rows) > 1:
        # Two contents may start alike. Read for each question, many copies would cost much of the night each time.
        size = _KEPT_ROWS_BYTES + rows.nbytes
        rows = shelf.get(("equal", stamp, sha256), size, lambda: _choose_equal(night, rows, sha256))
    if not len(rows):
        return None
    (scores,) = read_rows(night, [int(rows[0])])
    night.check_stamp(stamp)
    return FoundImage(int(rows[0]), scores, len(rows), stamp) if scores["sha256"] == sha256 else None


def find_contents(night: ScoredNight, stamp: Stamp, shelf: Shelf) -> Contents:
    """Return the night's sorted contents, from memory where they are there.

    Raises:
        UnfinishedNightError: As `read_contents`.
    """
    return shelf.get(("contents", stamp), night.scored * KEY_BYTES, lambda: read_contents(night, stamp))


def _choose_equal(night: ScoredNight, rows: NDArray[np.uint32], sha256: str) -> NDArray[np.uint32]:
    """Return those of the rows that have this content."""
    known = read_rows(night, rows.tolist(), ["sha256"])
    return rows[[row["sha256"] == sha256 for row in known]]


def read_contents(night: ScoredNight, stamp: Stamp) -> Contents:
    """Read one column of the scores, group by group, and sort it.

    Raises:
        UnfinishedNightError: The scores cannot be read, are not those of ``stamp``, or hold something else there.
    """
    with open_scores(night) as file:
        keys = [np.empty(0, np.uint64)]
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, columns=["sha256"]).column(0)
            keys += [_read_keys(chunk, night) for chunk in column.chunks]
    night.check_stamp(stamp)
    whole = np.concatenate(keys)
    order = np.argsort(whole, kind="stable").astype(np.uint32)
    return Contents(whole[order], order)


def _read_keys(chunk: pa.StringArray, night: ScoredNight) -> NDArray[np.uint64]:
    """Return the first 64 bits of each of N hexadecimal texts ``(N,)``, without making a text of any."""
    if not len(chunk):
        return np.empty(0, np.uint64)
    _, offsets, text = chunk.buffers()
    ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    if chunk.null_count or (np.diff(ends) != _HEX_DIGITS).any():
        raise UnfinishedNightError(f"{night.where}: expected a sha256 of {_HEX_DIGITS} digits in every row of scores")
    digits = np.frombuffer(text, np.uint8)[ends[0] : ends[-1]].reshape(-1, _HEX_DIGITS)[:, :_USED_DIGITS]
    nibbles = _NIBBLES[digits]
    return np.ascontiguousarray(nibbles[:, ::2] << 4 | nibbles[:, 1::2]).view(np.uint64).ravel()
