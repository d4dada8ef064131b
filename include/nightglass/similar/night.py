"""A night's score folder as a set of results that belongs together, or is told not to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightglass.engine.merge import SCORES_NAME
from nightglass.engine.results import SUMMARY_NAME
from nightglass.errors import InputError
from nightglass.storage import Folder, explaining

#: What tells one set of results from the next.
Stamp = tuple[str, ...]
_STAMPED = ("size", "mtime", "ino", "ETag", "LastModified")


class UnfinishedNightError(InputError):
    """The night's results are being written, were taken away, or do not belong together."""


@dataclass(frozen=True)
class ScoredNight:
    """A published night; ``scored`` images were scored by ``model_version`` of ``model_name``."""

    collection: str
    night: str
    model_name: str
    model_version: str
    scored: int
    folder: Folder

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.collection} {self.night}"

    def stamp(self) -> Stamp:
        """Return what changes when the night is scored again: the summary is written last and removed first.

        Raises:
            UnfinishedNightError: There is no summary.
            StorageError: The store does not answer.
        """
        with explaining(f"{self.folder.url}/{SUMMARY_NAME}"):
            try:
                info: dict[str, Any] = self.folder.fs.info(self.folder.path(SUMMARY_NAME))
            except FileNotFoundError as error:
                what = "it is being scored again, or its folder was removed"
                raise UnfinishedNightError(f"{self.where}: {what}") from error
        return (self.folder.url, *(str(info.get(name)) for name in _STAMPED))

    def check_stamp(self, stamp: Stamp) -> None:
        """Raise UnfinishedNightError when the results are no longer those of ``stamp``."""
        if self.stamp() != stamp:
            raise UnfinishedNightError(f"{self.where}: it was scored again meanwhile")


@contextmanager
def open_scores(night: ScoredNight) -> Iterator[pq.ParquetFile]:
    """Open the night's scores; nothing but the footer is read until rows are asked for.

    Raises:
        UnfinishedNightError: The file is not there, or is no Parquet file.
    """
    where = f"{night.where}: {SCORES_NAME}"
    try:
        with night.folder.open_read(SCORES_NAME) as source, explaining(f"{night.folder.url}/{SCORES_NAME}"):
            try:
                yield pq.ParquetFile(source)
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
                    # It is the file system's: Arrow's own have no number.
                    raise
                raise UnfinishedNightError(f"{where} is damaged ({' '.join(str(error).split())[:100]})") from error
    except UnfinishedNightError:
        raise
    except InputError as error:
        raise UnfinishedNightError(f"{where} is not there") from error


def read_rows(night: ScoredNight, rows: Sequence[int], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return some rows of the night's scores, in the order of ``rows``; only their groups of the file are read.

    Raises:
        UnfinishedNightError: The scores are not there, damaged, or have fewer rows.
    """
    found: dict[int, dict[str, Any]] = {}
    with open_scores(night) as file:
        ends = list(accumulate(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)))
        if rows and not (min(rows) >= 0 and ends and max(rows) < ends[-1]):
            raise UnfinishedNightError(f"{night.where}: expected {max(rows) + 1} rows of {SCORES_NAME}, got fewer")
        groups = {row: int(np.searchsorted(ends, row, side="right")) for row in rows}
        for group, members in groupby(sorted(set(rows)), key=groups.__getitem__):
            wanted = list(members)
            first = ends[group] - file.metadata.row_group(group).num_rows
            part = file.read_row_group(group, columns=None if columns is None else list(columns))
            values = part.take([row - first for row in wanted]).to_pylist()
            found |= dict(zip(wanted, values, strict=True))
    return [found[row] for row in rows]
