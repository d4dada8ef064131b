"""Verdicts as a CSV file, for spreadsheets and for backups.

Cells of an exported file never look like a formula to a spreadsheet: where one would, an apostrophe stands before it,
which the import takes away again.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from nightglass.errors import InputError
from nightglass.retraining.verdicts import Scope, Verdict, Word

COLUMNS = ("night", "scope", "path", "slice", "verdict", "by", "note", "at", "sha256")
_REQUIRED = ("night", "path", "verdict")
_CLOCK_DIFFERENCE = timedelta(hours=1)  # between the machine that wrote the file and this one
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A spreadsheet may cut a line at other separators than the comma, and skips blanks and quotes before a formula.
_FORMULA = r"""(?=[\s"]*['=+\-@\uff1d\uff0b\uff0d\uff20])"""
_UNSAFE = re.compile(rf"(^|[;,|\t\r\n]){_FORMULA}")
_MADE_SAFE = re.compile(rf"(^|[;,|\t\r\n])'{_FORMULA}")
_WORDS: dict[str, Word] = {word: word for word in get_args(Word)}
_SCOPES: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}


@dataclass(frozen=True)
class VerdictLine:
    """One line of a file; ``where`` names it in messages."""

    where: str
    night: str
    scope: Scope
    path: str | None
    slice: str | None
    sha256: str | None
    verdict: Word
    by: str | None
    note: str
    at: datetime | None


def format_verdicts(verdicts: Iterable[Verdict]) -> str:
    """Return verdicts as the text of a CSV file with every cell in quotes, in the order given."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    for verdict in verdicts:
        writer.writerow([_make_safe(getattr(verdict, name) or "") for name in COLUMNS])
    return target.getvalue()


def read_verdict_lines(file: Path, now: datetime) -> list[VerdictLine]:
    """Read a file of verdicts: ``night``, ``path`` and ``verdict``, and what else :data:`COLUMNS` has.

    Raises:
        InputError: The file is missing, has another header, or a line that says nothing clear; the error names it.
    """
    lines = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            _check_header(file, reader.fieldnames or [])
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{where}: expected {len(reader.fieldnames or [])} cells as in the header")
                cells = {name: _restore(text) for name, text in row.items()}
                if any(cells.values()):  # a spreadsheet may end with empty lines
                    lines.append(_read_line(where, cells, now))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: expected a readable CSV file with {','.join(_REQUIRED)}, got {error}") from error
    return lines


def _check_header(file: Path, names: Iterable[str]) -> None:
    got = list(names)
    is_clear = set(_REQUIRED) <= set(got) <= set(COLUMNS) and len(set(got)) == len(got)
    if not is_clear:
        shown = ",".join(got)[:100] or "an empty file"
        further = ",".join(name for name in COLUMNS if name not in _REQUIRED)
        raise InputError(f"{file}: expected the header {','.join(_REQUIRED)} and of {further} any, got {shown}")


def _read_line(where: str, cells: dict[str, str], now: datetime) -> VerdictLine:
    verdict, scope = _WORDS.get(cells["verdict"].strip()), _SCOPES.get(cells.get("scope", "").strip() or "image")
    if verdict is None:
        raise InputError(f"{where}: expected the verdict defect, normal or unsure, got {cells['verdict']!r}")
    if scope is None:
        raise InputError(f"{where}: expected the scope image, slice or night, got {cells['scope']!r}")
    path, slice_name, sha256 = cells["path"].removeprefix("./"), cells.get("slice", ""), cells.get("sha256", "")
    for name, value, of_scope in (("path", path, "image"), ("slice", slice_name, "slice")):
        if bool(value) != (scope == of_scope):
            expected = f"a {name}" if scope == of_scope else f"no {name}"
            raise InputError(f"{where}: expected {expected} for a verdict on the {scope}, got {name} {value!r}")
    if sha256 and (scope != "image" or not _SHA256.fullmatch(sha256)):
        raise InputError(f"{where}: expected the sha256 of an image, 64 hexadecimal digits, or none, got {sha256!r}")
    return VerdictLine(
        where=where,
        night=cells["night"].strip(),
        scope=scope,
        path=path or None,
        slice=slice_name or None,
        sha256=sha256 or None,
        verdict=verdict,
        by=cells.get("by", "").strip() or None,
        note=cells.get("note", ""),
        at=_read_time(where, cells.get("at", "").strip(), now),
    )


def _read_time(where: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: expected a time such as 2026-03-14T08:30:00Z, got {text!r}") from error
    if moment > now + _CLOCK_DIFFERENCE:
        raise InputError(f"{where}: expected a time in the past, got {text!r}")
    return moment


def _make_safe(text: str) -> str:
    return _UNSAFE.sub(r"\1'", text)


def _restore(text: str) -> str:
    return _MADE_SAFE.sub(r"\1", text)
