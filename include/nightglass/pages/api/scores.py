"""A page of a night's scores, read by row groups: a night of a million images is never in memory."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightglass.engine.merge import SCORES_NAME
from nightglass.engine.shards import SCORE_FIELDS
from nightglass.errors import InputError
from nightglass.storage import Folder, explaining

_COLUMNS = [name for name, _ in SCORE_FIELDS]


def read_scores(source: Folder, after: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """Return how many rows there are, and at most ``limit`` of them beyond the first ``after``.

    Raises:
        InputError: The folder has no scores, or something else in their place.
    """
    with source.open_read(SCORES_NAME) as file, explaining(f"{source.url}/{SCORES_NAME}"):
        try:
            parquet = pq.ParquetFile(file)
            rows: list[dict[str, Any]] = []
            for group, skipped in _groups_from(parquet, after):
                # Without threads: their reading ahead can abort a process that ends soon after.
                table = parquet.read_row_group(group, columns=_COLUMNS, use_threads=False)
                rows += table.slice(skipped, limit - len(rows)).to_pylist()
                if len(rows) >= limit:
                    break
        except pa.ArrowException as error:
            raise InputError(f"{source.url}/{SCORES_NAME}: expected a Parquet file, got something else") from error
        return parquet.metadata.num_rows, rows


def _groups_from(parquet: pq.ParquetFile, after: int) -> Iterator[tuple[int, int]]:
    """Yield the row groups that have a row beyond the first ``after``, and how many of their rows come before."""
    start = 0
    for group in range(parquet.num_row_groups):
        stop = start + parquet.metadata.row_group(group).num_rows
        if stop > after:
            yield group, max(0, after - start)
        start = stop
