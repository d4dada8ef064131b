from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightglass.collections import Scoring
from nightglass.errors import InputError, StorageError
from nightglass.images.manifest import SCHEMA, Manifest, build_manifest
from nightglass.images.manifest_file import MANIFEST_NAME, ROW_COLUMNS, read_manifest, write_manifest
from nightglass.storage import open_folder
from tests.conftest import write_panels


def build(folder: Path) -> Manifest:
    return build_manifest(open_folder(folder), (".png",), Scoring(), workers=2)


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = build(write_panels(tmp_path / "images", range(3)))
    write_manifest(manifest, open_folder(tmp_path / "out"))
    again = read_manifest(open_folder(tmp_path / "out"))
    assert again.data_version == manifest.data_version
    assert again.table.equals(manifest.table)


def test_a_part_of_a_manifest_is_read_without_the_rest(tmp_path: Path) -> None:
    out = open_folder(tmp_path)
    rows = [{"path": f"{number:05d}.png", "size_bytes": number, "sha256": "a"} for number in range(10_000)]
    whole = Manifest(pa.Table.from_pylist(rows, SCHEMA), 3, "version")
    write_manifest(whole, out)
    assert read_manifest(out).table.equals(whole.table)
    for part in (range(1), range(4000, 4200), range(4096, 8192), range(9_999, 10_000), range(100, 9_000)):
        read = read_manifest(out, rows=part)
        assert read.table.equals(whole.table.slice(part.start, len(part)))
        assert (read.ignored, read.data_version) == (3, "version")
    assert read_manifest(out, columns=["path"]).table.equals(whole.table.select(["path"]))
    nothing = read_manifest(out, rows=range(0))
    assert (len(nothing), nothing.data_version) == (0, "version")
    # What is damaged elsewhere in the file is not noticed: it is not read.
    file = tmp_path / MANIFEST_NAME
    first = pq.ParquetFile(file).metadata.row_group(0)
    damaged = bytearray(file.read_bytes())
    start, length = 4, sum(first.column(i).total_compressed_size for i in range(first.num_columns))
    damaged[start : start + length] = b"x" * length
    file.write_bytes(damaged)
    assert read_manifest(out, rows=range(9_000, 9_100)).table.equals(whole.table.slice(9_000, 100))
    with pytest.raises((InputError, StorageError)):
        read_manifest(out)


def test_rows_are_found_with_the_columns_that_are_enough_for_them(tmp_path: Path) -> None:
    manifest = build(write_panels(tmp_path / "images", range(5)))
    write_manifest(manifest, open_folder(tmp_path / "out"))
    read = read_manifest(open_folder(tmp_path / "out"), columns=ROW_COLUMNS)
    paths = ["good-00003.png", "good-00001.png"]
    assert read.find_rows(paths) == manifest.find_rows(paths)
    assert read.image_rows() == manifest.image_rows()


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(b"not Parquet at all")
    with pytest.raises(InputError, match=r"manifest.parquet: expected a Parquet file, got "):
        read_manifest(open_folder(tmp_path))
    with pytest.raises(InputError, match="expected to exist"):
        read_manifest(open_folder(tmp_path / "elsewhere"))
