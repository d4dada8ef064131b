"""Where below a folder something can still be found: in any file, whatever it is packed in."""

import html
import json
import re
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def find_text(folder: Path, text: str) -> set[str]:
    """The files that hold a text: as it is, as JSON or HTML writes it, or in a row of a Parquet file."""
    spellings = [spelling.encode() for spelling in (text, json.dumps(text)[1:-1])]
    return {
        str(path.relative_to(folder))
        for path in _files(folder)
        if any(spelling in _content(path) for spelling in spellings)
    }


def _content(path: Path) -> bytes:
    if path.suffix == ".parquet":
        with suppress(pa.ArrowInvalid):  # else it is half a file, and read as bytes
            return json.dumps(pq.read_table(path).to_pylist(), default=repr).encode()
    if path.suffix == ".html":  # long names have places where they may be broken
        return html.unescape(re.sub(r"<[^>]*>", "", path.read_text())).encode()
    return path.read_bytes()


def find_bytes(folder: Path, data: bytes) -> set[str]:
    """The files that hold these bytes, or a row with them."""
    found = set()
    for path in _files(folder):
        if path.suffix == ".parquet":
            cells = (cell for row in pq.read_table(path).to_pylist() for cell in row.values())
            is_there = any(isinstance(cell, bytes) and data in cell for cell in cells)
        else:
            is_there = data in path.read_bytes()
        if is_there:
            found.add(str(path.relative_to(folder)))
    return found


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
