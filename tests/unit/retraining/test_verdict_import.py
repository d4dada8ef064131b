from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from nightglass.errors import InputError
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.retraining.listed_night import ListedNight
from nightglass.retraining.verdict_csv import read_verdict_lines
from nightglass.retraining.verdict_import import ImportedVerdicts, resolve_lines
from nightglass.storage import open_folder

NOW = datetime(2026, 3, 20, 8, tzinfo=UTC)
NIGHT, OTHER = "2026-03-14", "2026-03-15"


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    for number, night in enumerate((NIGHT, OTHER)):
        rows = [
            {"path": path, "sha256": f"{10 * number + n:064x}", "size_bytes": 1}
            for n, path in enumerate(["left/a.jpg", "left/b.jpg", "right/c.jpg"])
        ]
        rows.append({"path": "right/empty.jpg", "sha256": None, "size_bytes": 0})
        write_manifest(Manifest(pa.Table.from_pylist(rows, schema=SCHEMA), 0, "v"), open_folder(tmp_path / night))
    return tmp_path


def resolve(nights: Path, text: str, by: str | None = "ana") -> ImportedVerdicts:
    file = nights / "verdicts.csv"
    file.write_text(text)
    lines = read_verdict_lines(file, NOW)
    return resolve_lines(lines, lambda night: ListedNight(open_folder(nights / night), r"(?P<camera>\w+)/"), by)


def test_every_line_becomes_a_verdict_on_its_content(nights: Path) -> None:
    imported = resolve(
        nights,
        "night,path,verdict,by,note,scope,slice\n"
        f"{OTHER},left/b.jpg,defect,,scratch,,\n"
        f"{NIGHT},left/a.jpg,normal,ben,,image,\n"
        f"{NIGHT},,unsure,,,slice,camera=left\n"
        f"{OTHER},,normal,,,night,\n",
    )
    assert [(v.scope, v.sha256, v.verdict, v.by, v.at) for v in imported.verdicts] == [
        ("image", f"{11:064x}", "defect", "ana", None),
        ("image", f"{0:064x}", "normal", "ben", None),
        ("slice", None, "unsure", "ana", None),
        ("night", None, "normal", "ana", None),
    ]
    assert (imported.bulk, imported.covered) == (2, 6)
    assert {v.source for v in imported.verdicts} == {"import"}


def test_a_known_content_needs_no_listed_night(nights: Path) -> None:
    (verdict,) = resolve(nights, f"night,path,verdict,sha256\n2020-01-01,x.jpg,defect,{'a' * 64}\n").verdicts
    assert (verdict.sha256, verdict.path) == ("a" * 64, "x.jpg")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (f"{NIGHT},left/a.jpg,defect,,\n{NIGHT},a.jpg,defect,,\n", r"line 3: .* got 'a\.jpg'; near it: 'left/a\.jpg'"),
        (f"{NIGHT},right/empty.jpg,defect,,\n", "line 2: .* which is quarantined"),
        ("2026-03-01,left/a.jpg,defect,,\n", "line 2: .*expected a night that was scored"),
        (f"{NIGHT},,defect,slice,camera=up\n", "line 2: .*expected a slice of the night"),
        ("2026-03-01,,defect,night,\n", "line 2: .*expected a night that was scored"),
        (
            f"{NIGHT},left/a.jpg,defect,,\n{NIGHT},left/a.jpg,normal,,\n",
            "line 3: expected one verdict of 'ana' here, got normal after defect",
        ),
    ],
)
def test_a_line_that_cannot_be_is_named(nights: Path, lines: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        resolve(nights, f"night,path,verdict,scope,slice\n{lines}")


def test_somebody_said_it(nights: Path) -> None:
    text = f"night,path,verdict,by\n{NIGHT},left/a.jpg,defect,ana\n{NIGHT},left/b.jpg,defect,\n"
    with pytest.raises(InputError, match="line 3: expected who gave the verdict"):
        resolve(nights, text, by=None)


def test_two_people_may_disagree_in_one_file(nights: Path) -> None:
    text = f"night,path,verdict,by\n{NIGHT},left/a.jpg,defect,ana\n{NIGHT},left/a.jpg,normal,ben\n"
    assert [verdict.verdict for verdict in resolve(nights, text).verdicts] == ["defect", "normal"]
