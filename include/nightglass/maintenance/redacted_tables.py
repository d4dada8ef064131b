"""Parquet files and FAISS indexes without the rows of one image, written beside the ones that they replace."""

from dataclasses import dataclass

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightglass.errors import InputError
from nightglass.maintenance.damage import explaining_damage
from nightglass.maintenance.gone import Gone
from nightglass.storage import Folder


@dataclass(frozen=True)
class RedactedTable:
    """``rows`` are the numbers of the rows that went; ``hidden`` counts those that lost a name."""

    rows: list[int]
    hidden: int

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.rows or self.hidden)


def redact_table(source: Folder, target: Folder, name: str, gone: Gone) -> RedactedTable:
    """Write ``name`` of ``source`` to ``target`` without the image, group by group; nothing where nothing changes."""
    found = _look(source, name, gone)
    if not found.is_changed:
        return found
    where = f"{source.url}/{name}"
    with source.as_local(name) as path, target.writing(name) as local, explaining_damage(where):
        file = pq.ParquetFile(path)
        with pq.ParquetWriter(local, file.schema_arrow, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                kept = gone.hides(table.filter(pc.invert(gone.rows_of(table))))
                writer.write_table(kept.cast(file.schema_arrow))
    return found


def redact_index(source: Folder, target: Folder, name: str, rows: list[int], before: int) -> None:
    """Write the index ``name`` to ``target`` without some rows; the others keep their order.

    Raises:
        InputError: It is none of ``before`` images.
    """
    with source.as_local(name) as path:
        index = faiss.read_index(str(path))
    if index.ntotal != before:
        raise InputError(f"{source.url}/{name}: expected an index of {before} images, got one of {index.ntotal}")
    index.remove_ids(np.array(rows, np.int64))  # type: ignore[arg-type]  # FAISS describes the C++ one
    with target.writing(name) as local, local.open("wb") as file:
        # Through a file of Python's: faiss's own does not say that a disk is full. Its type stubs lack the writer.
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)


def count_table(source: Folder, name: str) -> int:
    """Return how many rows a Parquet file has."""
    with source.open_read(name) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


def _look(source: Folder, name: str, gone: Gone) -> RedactedTable:
    with source.open_read(name) as opened:
        try:
            file = pq.ParquetFile(opened)
        except pa.ArrowException as error:
            raise InputError(f"{source.url}/{name}: expected a Parquet file, got something else") from error
        names = [column for column in ("path", "sha256", "nearest_path") if column in file.schema_arrow.names]
        rows: list[int] = []
        hidden = first = 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=names, use_threads=False)
            rows += [first + int(row) for row in np.flatnonzero(gone.rows_of(table).to_numpy(zero_copy_only=False))]
            if "nearest_path" in names and gone.good_names:
                is_named = pc.is_in(table["nearest_path"], pa.array(sorted(gone.good_names), pa.string()))
                hidden += int(pc.sum(is_named).as_py() or 0)
            first += table.num_rows
    return RedactedTable(rows, hidden)
