import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nightglass import cli
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.storage import open_folder

NIGHT, OTHER = "2026-03-14", "2026-03-15"
PATHS = ["left/a.jpg", "left/b.jpg", "left/b-copy.jpg", "right/c.jpg", "right/=1+1.jpg"]


class Desk:
    """Where an analyst works: a collection with two scored nights, and the command line in this process."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name, value in {"HOME": home, "COLLECTIONS_DIR": home, "DATABASE_URL": "", "NIGHTS_URL": ""}.items():
            monkeypatch.setenv(f"NIGHTGLASS_{name}", str(value))
        monkeypatch.setenv("LOGNAME", "ana")
        pattern = r"^(?P<camera>left|right)/"
        (home / "line.yaml").write_text(
            f"name: cells\nimages: {home}/images/{{night}}\nslices: '{pattern}'\nschedule: null\n"
        )
        for number, night in enumerate((NIGHT, OTHER)):
            rows = [
                {"path": path, "sha256": f"{10 * number + (1 if 'b' in path else 2 + place):064x}", "size_bytes": 1}
                for place, path in enumerate(PATHS)
            ]
            manifest = Manifest(pa.Table.from_pylist(rows, schema=SCHEMA), 0, "version")
            write_manifest(manifest, open_folder(home / "nights/cells" / night))

    def run(self, command: str, *arguments: object, collection: str = "cells") -> subprocess.CompletedProcess[str]:
        words = ["nightglass", "verdict", command, "--collection", collection, *map(str, arguments)]
        self._monkeypatch.setattr(sys, "argv", words)
        code = cli._run()
        written = self._capsys.readouterr()
        return subprocess.CompletedProcess(words, code, written.out, written.err)

    def result(self, command: str, *arguments: object) -> dict[str, Any]:
        done = self.run(command, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def refusal(self, command: str, *arguments: object) -> str:
        done = self.run(command, *arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("nightglass: ")
        return lines[0]

    def write(self, text: str, name: str = "verdicts.csv") -> Path:
        file = self.home / name
        file.write_text(text)
        return file


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, monkeypatch, capsys)


def test_a_verdict_is_given_seen_and_corrected(desk: Desk) -> None:
    given = desk.result("add", "--night", NIGHT, "--path", "left/b.jpg", "--verdict", "defect", "--note", "scratch")
    assert (given["images"], given["added"], given["by"], given["sha256"]) == (2, 1, "ana", f"{1:064x}")
    again = desk.run("add", "--night", NIGHT, "--path", "left/b-copy.jpg", "--verdict", "defect")
    assert again.stdout.startswith("nothing new: ana has said so before")
    assert desk.run("list", "--conflicts").stdout == "no conflicting verdicts on cells\n"
    desk.result("add", "--night", NIGHT, "--path", "left/b.jpg", "--verdict", "normal", "--by", "ben")
    (shown,) = desk.result("list")["verdicts"]
    assert (shown["verdict"], shown["by"], shown["entry"]) == ("normal", "ben", 2)
    assert desk.result("list", "--night", OTHER)["verdicts"] == []
    lines = desk.run("list", "--conflicts", "--night", NIGHT).stdout.splitlines()
    assert lines[0] == f"{NIGHT}  left/b.jpg"
    assert "defect  ana  (scratch)" in lines[1]
    assert lines[2].startswith("  * ")
    assert lines[2].endswith("normal  ben")
    ((first, last),) = desk.result("list", "--conflicts")["conflicts"]
    assert (first["by"], last["by"]) == ("ana", "ben")


def test_a_verdict_on_many_images_is_asked_for(desk: Desk) -> None:
    whole = ("--night", NIGHT, "--all", "--verdict", "normal")
    left = ("--night", NIGHT, "--slice", "camera=left", "--verdict", "normal")
    assert "normal for all of 2026-03-14: 5 images? Expected --yes" in desk.refusal("add", *whole)
    assert "normal for camera=left of 2026-03-14: 3 images? Expected --yes" in desk.refusal("add", *left)
    assert desk.result("list")["verdicts"] == []
    assert desk.result("add", *whole, "--yes")["images"] == 5
    assert desk.result("add", *left, "--yes")["images"] == 3
    assert [row["scope"] for row in desk.result("list")["verdicts"]] == ["slice", "night"]
    file = desk.write(f"night,path,verdict,scope\n{OTHER},,normal,night\n{OTHER},left/a.jpg,defect,\n")
    assert "1 verdicts on slices and nights: 5 images? Expected --yes" in desk.refusal("import", "--csv", file)
    assert desk.result("import", "--csv", file, "--yes")["added"] == 2


@pytest.mark.parametrize(("answer", "count"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
def test_a_person_at_a_terminal_answers(desk: Desk, answer: str, count: int) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from nightglass.cli import main; main()", "verdict", "add"]
    command += ["--collection", "cells", "--night", NIGHT, "--all", "--verdict", "normal"]
    os.write(ours, answer.encode())
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "5 images? [y/N]" in done.stderr
    assert (done.returncode == 0) == bool(count)
    assert len(desk.result("list")["verdicts"]) == count


def test_export_and_import_are_one_round_trip(desk: Desk) -> None:
    for number, path in enumerate(PATHS):
        desk.result("add", "--night", OTHER, "--path", path, "--verdict", ("defect", "normal", "unsure")[number % 3])
    desk.result("add", "--night", NIGHT, "--slice", "camera=left", "--verdict", "normal", "--yes", "--note", "-1")
    out = desk.home / "out" / "verdicts.csv"
    assert desk.result("export", "--csv", out)["verdicts"] == 5  # two images are copies
    text = out.read_text()
    assert '"right/=1+1.jpg"' in text
    assert '"\'-1"' in text
    assert desk.result("import", "--csv", out, "--yes")["added"] == 0
    before = desk.result("list")["verdicts"]
    (desk.home / "nightglass.db").unlink()
    assert desk.result("import", "--csv", out, "--yes")["added"] == 5
    after = desk.result("list")["verdicts"]
    varying = {"entry", "source"}
    assert [{k: v for k, v in row.items() if k not in varying} for row in after] == [
        {k: v for k, v in row.items() if k not in varying} for row in before
    ]
    desk.result("export", "--csv", out)
    assert out.read_text() == text


def test_an_import_is_all_or_nothing(desk: Desk) -> None:
    file = desk.write(f"night,path,verdict\n{NIGHT},left/a.jpg,defect\n{NIGHT},left/aa.jpg,defect\n")
    line = desk.refusal("import", "--csv", file)
    assert "line 3:" in line
    assert "near it: 'left/a.jpg'" in line
    assert desk.result("list")["verdicts"] == []
    desk.write(f"night,path,verdict\n{NIGHT},left/a.jpg,defect\n{NIGHT},left/b.jpg,defect\n")
    assert desk.run("import", "--csv", file, "--by", "ben").stdout == "2 of 2 verdicts are new\n"
    assert {row["by"] for row in desk.result("list")["verdicts"]} == {"ben"}
    assert {row["source"] for row in desk.result("list")["verdicts"]} == {"import"}


def test_bad_input_is_one_line(desk: Desk) -> None:
    image = ("--path", "left/a.jpg", "--verdict", "defect")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("add", "--night", NIGHT, "--verdict", "defect"), "expected one of --path, --slice and --all"),
        (("add", "--night", NIGHT, *image, "--all"), "expected one of --path, --slice and --all"),
        (("add", "--night", "14.3.2026", *image), "expected a date YYYY-MM-DD, got '14.3.2026'"),
        (("add", "--night", "2026-01-01", *image), "expected a night that was scored"),
        (("add", "--night", NIGHT, "--path", "a.jpg", "--verdict", "defect"), "near it: 'left/a.jpg'"),
        (("add", "--night", NIGHT, "--path", "left/a.jpg", "--verdict", "bad"), "'bad'"),
        (("add", "--night", NIGHT, "--slice", "camera=up", "--verdict", "defect", "--yes"), "'camera=right'"),
        (("add", "--night", NIGHT, *image, "--by", " "), "expected who gives the verdict"),
        (("import", "--csv", desk.home / "none.csv"), "none.csv"),
        (("import", "--csv", desk.write("night,path,verdict\n", "empty.csv")), "got only a header"),
        (("import", "--csv", desk.write("night,path,verdict\n14.3.,a,defect\n")), "line 2: night: expected a date"),
        (("export", "--csv", desk.home), "got the folder"),
        (("list", "--night", "yesterday"), "yesterday"),
    ]
    for (command, *arguments), expected in cases:
        assert expected in desk.refusal(str(command), *arguments), arguments
    unknown = desk.run("list", collection="other")
    assert "(cells), got 'other'" in unknown.stderr


def test_hostile_names_are_written_out_at_a_terminal(desk: Desk) -> None:
    path = "left/\x1b[31mred\u202e.jpg"
    table = pa.Table.from_pylist([{"path": path, "sha256": "f" * 64, "size_bytes": 1}], schema=SCHEMA)
    write_manifest(Manifest(table, 0, "v"), open_folder(desk.home / "nights/cells" / NIGHT))
    done = desk.run("add", "--night", NIGHT, "--path", path, "--verdict", "defect", "--by", "\x1b[0mana")
    assert done.returncode == 0, done.stderr
    shown = done.stdout + desk.run("list").stdout
    assert r"\x1b[31mred\u202e.jpg" in shown
    assert not set("\x1b\u202e") & set(shown)


@pytest.mark.parametrize("command", ["add", "import", "export", "list"])
def test_every_verdict_command_explains_itself(desk: Desk, command: str) -> None:
    done = desk.run(command, "--help")
    assert done.returncode == 0
    assert "--collection" in done.stdout
