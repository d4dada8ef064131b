"""The manifest as a file of the score folder, and how a task reads only what it needs of it."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from nightglass.errors import InputError
from nightglass.images.manifest import Manifest
from nightglass.storage import Folder, explaining

MANIFEST_NAME = "manifest.parquet"
#: Enough of it for `Manifest.image_rows` and `Manifest.find_rows`.
ROW_COLUMNS = ("path", "raw_path", "size_bytes", "sha256", "reason")
_GROUP_ROWS = 4096  # of the file: about a shard, which is what a task reads of it


def read_manifest(folder: Folder, *, rows: range | None = None, columns: Sequence[str] | None = None) -> Manifest:
    """Read the manifest that `write_manifest` put into a score folder, or a part of it.

    Args:
        folder: The score folder.
        rows: Only these rows, which then count from 0. Little more than them is read: their groups of the file.
        columns: Only these columns.

    Raises:
        InputError: There is no manifest, or it is no Parquet file.
    """
    where = f"{folder.url}/{MANIFEST_NAME}"
    with folder.open_read(MANIFEST_NAME) as source, explaining(where):
        try:
            file = pq.ParquetFile(source)
            table = _read_groups(file, rows, columns)
        except pa.ArrowException as error:
            raise InputError(f"{where}: expected a Parquet file, got {' '.join(str(error).split())[:200]}") from error
    facts = file.schema_arrow.metadata or {}
    return Manifest(table.replace_schema_metadata(None), int(facts[b"ignored"]), facts[b"data_version"].decode())


def write_manifest(manifest: Manifest, folder: Folder) -> None:
    """Write the manifest into a score folder."""
    facts = {"ignored": str(manifest.ignored), "data_version": manifest.data_version}
    table = manifest.table.replace_schema_metadata(facts)
    with folder.writing(MANIFEST_NAME) as local:
        pq.write_table(table, local, compression="zstd", row_group_size=_GROUP_ROWS)


def _read_groups(file: pq.ParquetFile, rows: range | None, columns: Sequence[str] | None) -> pa.Table:
    """Read group by group: a whole table at once takes half as much memory again."""
    parts, first = [], 0
    for group in range(file.num_row_groups):
        after = first + file.metadata.row_group(group).num_rows
        wanted = range(first, after) if rows is None else range(max(first, rows.start), min(after, rows.stop))
        if wanted:
            part = file.read_row_group(group, columns=columns)
            parts.append(part.slice(wanted.start - first, len(wanted)))
        first = after
    if parts:
        return pa.concat_tables(parts)
    return file.schema_arrow.empty_table() if columns is None else file.schema_arrow.empty_table().select(columns)
