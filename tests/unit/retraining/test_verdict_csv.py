import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightglass.errors import InputError
from nightglass.retraining.verdict_csv import COLUMNS, format_verdicts, read_verdict_lines
from nightglass.retraining.verdicts import Verdict

NOW = datetime(2026, 3, 20, 8, tzinfo=UTC)
HOSTILE = [
    "=cmd|' /C calc'!A0.jpg",
    "+1.jpg",
    "-1+2.jpg",
    "@SUM(A1).jpg",
    "\t=1.jpg",
    "\r\n=1.jpg",
    "'=1.jpg",
    "''quoted.jpg",
    "'plain.jpg",
    'a;=1+1;"=2".jpg',
    'a;"=HYPERLINK(""http://x"")".jpg',
    "a,=1|=2\t=3\n=4.jpg",
    " =1.jpg",
    "\uff1d1.jpg",
    'läufer/"x",y.jpg',
]


def verdict(entry: int = 1, path: str = "a.jpg", **changes: object) -> Verdict:
    fields = {
        "entry": entry,
        "night": "2026-03-14",
        "scope": "image",
        "path": path,
        "sha256": "a" * 64,
        "verdict": "defect",
        "by": "ana",
        "at": "2026-03-15T02:30:00.000000Z",
        "source": "cli",
    }
    return Verdict.model_validate(fields | changes)


def test_what_is_exported_is_imported_as_it_was(tmp_path: Path) -> None:
    verdicts = [
        *(verdict(entry, path, note=path, by=path.strip()) for entry, path in enumerate(HOSTILE)),
        verdict(50, scope="slice", path=None, sha256=None, slice="camera==left", verdict="normal"),
        verdict(51, scope="night", path=None, sha256=None, verdict="unsure", note="the new normal"),
    ]
    file = tmp_path / "verdicts.csv"
    file.write_bytes(format_verdicts(verdicts).encode())
    lines = read_verdict_lines(file, NOW)
    for line, expected in zip(lines, verdicts, strict=True):
        for name in set(COLUMNS) - {"at"}:
            assert getattr(line, name) == getattr(expected, name)
        assert line.at == datetime.fromisoformat(expected.at)


@given(st.text(alphabet="=+-@';,|\t\r\n \"ab\uff1d", min_size=1, max_size=9))
def test_no_text_is_a_formula_and_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    exported = format_verdicts([verdict(note=text)])
    (line,) = read_verdict_lines(_write(tmp_path_factory.getbasetemp(), exported), NOW)
    assert line.note == text
    cells = next(csv.DictReader(io.StringIO(exported, newline="")))
    # A spreadsheet may take any of these for a separator, and skip blanks and quotes before a formula.
    pieces = re.split(r"[;,|\t\r\n]", cells["note"])
    assert not [piece for piece in pieces if piece.lstrip(' \t\r\n"')[:1] in set("=+-@\uff1d")]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_cells_start_with_no_formula(text: str) -> None:
    cells = next(csv.DictReader(io.StringIO(format_verdicts([verdict(path=text)]), newline="")))
    assert not re.search(r"(^|[;,|\t\r\n])[\s\"]*[=+\-@\uff1d]", cells["path"])


def test_the_short_form_is_enough(tmp_path: Path) -> None:
    text = "\ufeffverdict,path,night\r\ndefect, a.jpg ,2026-03-14\r\nnormal,./b/c.jpg,2026-03-14\r\n,,\r\n\r\n"
    first, second = read_verdict_lines(_write(tmp_path, text), NOW)
    assert (first.path, first.verdict, first.scope, first.by, first.at) == (" a.jpg ", "defect", "image", None, None)
    assert (second.path, second.note, second.sha256, second.night) == ("b/c.jpg", "", None, "2026-03-14")


def test_a_time_without_a_zone_is_utc(tmp_path: Path) -> None:
    text = "night,path,verdict,at\n2026-03-14,a,defect,2026-03-14 08:30\n2026-03-14,b,defect,2026-03-14T08:30+02:00\n"
    times = [line.at for line in read_verdict_lines(_write(tmp_path, text), NOW)]
    assert times == [datetime(2026, 3, 14, 8, 30, tzinfo=UTC), datetime(2026, 3, 14, 6, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected the header night,path,verdict .* got an empty file"),
        ("night;path;verdict\n", "expected the header .* got night;path;verdict"),
        ("night,path,verdict,verdict\n", "expected the header"),
        ("night,path,verdict,colour\n", "got night,path,verdict,colour"),
        ("night,path,verdict\nn,a,defect\nn,b,defekt\n", "line 3: expected the verdict defect, normal or unsure"),
        ("night,path,verdict\nn,,defect\n", "line 2: expected a path for a verdict on the image"),
        ("night,path,verdict\nn,a\n", "line 2: expected 3 cells"),
        ("night,path,verdict\nn,a,defect,x\n", "line 2: expected 3 cells"),
        ("night,path,verdict,scope\nn,a,defect,night\n", "line 2: expected no path for a verdict on the night"),
        ("night,path,verdict,scope\nn,,defect,all\n", "expected the scope image, slice or night, got 'all'"),
        ("night,path,verdict,slice\nn,a,defect,x=1\n", "line 2: expected no slice for a verdict on the image"),
        ("night,path,verdict,scope\nn,,defect,slice\n", "line 2: expected a slice for a verdict on the slice"),
        ("night,path,verdict,sha256\nn,a,defect,abc\n", "line 2: expected the sha256"),
        ("night,path,verdict,at\nn,a,defect,yesterday\n", "line 2: expected a time such as"),
        ("night,path,verdict,at\nn,a,defect,0001-01-01T00:00+23:00\n", "line 2: expected a time such as"),
        ("night,path,verdict,at\nn,a,defect,2026-03-21\n", "line 2: expected a time in the past"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_verdict_lines(_write(tmp_path, text), NOW)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'night,path,verdict\n"' + b"x" * 200_000 + b'",a,b\n'])
def test_what_is_no_csv_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "verdicts.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match="expected a readable CSV file"):
        read_verdict_lines(file, NOW)
    with pytest.raises(InputError, match="expected a readable CSV file"):
        read_verdict_lines(tmp_path / "nothing.csv", NOW)


def _write(folder: Path, text: str) -> Path:
    file = folder / "verdicts.csv"
    file.write_bytes(text.encode())
    return file
