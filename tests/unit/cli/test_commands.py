import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_panels

Run = Callable[..., subprocess.CompletedProcess[str]]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr of a command that failed as it should."""
    assert done.returncode != 0
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("nightglass: ")
    return lines[0]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_panels(tmp_path_factory.mktemp("cli") / "night", range(700, 712), defects=3)


@pytest.fixture(scope="module")
def scored(fresh_nightglass: Run, model: Path, night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored")
    done = fresh_nightglass("score", "--images", night, "--model", model, "--out", out, "--top-k", 3, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert {"images", "scored", "quarantined", "anomalous", "seconds", "images_per_second"} <= set(summary)
    assert {"decode", "embed", "list", "search", "write"} <= set(summary["stage_seconds"])
    return out


@pytest.mark.parametrize("command", [[], ["fit"], ["score"], ["report"], ["evaluate"]])
def test_every_command_explains_itself(fresh_nightglass: Run, command: list[str]) -> None:
    done = fresh_nightglass(*command, "--help")
    assert done.returncode == 0
    assert "--" in done.stdout


def test_two_fits_of_the_same_images_are_the_same_detector(
    nightglass: Run, model: Path, good_images: Path, unquantized: Path, tmp_path: Path
) -> None:
    """Whatever the number of threads that torch and BLAS have."""
    again = ("--out", tmp_path / "again", "--collection", unquantized, "--json")
    done = nightglass("fit", "--images", good_images, *again, env={"OMP_NUM_THREADS": "2"})
    assert done.returncode == 0, done.stderr
    for name in ("bank.faiss", "patch_bank.faiss", "arrays.safetensors", "bank_images.parquet", "network.bin"):
        assert (tmp_path / "again" / name).read_bytes() == (model / name).read_bytes()
    assert json.loads(done.stdout)["fingerprint"]


def test_labelled_defects_stay_out_of_the_bank(
    nightglass: Run, good_images: Path, unquantized: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\ngood-00001.png,defect\ngood-00002.png,normal\n")
    out = tmp_path / "model"
    done = nightglass(
        "fit", "--images", good_images, "--out", out, "--labels", labels, "--collection", unquantized, "--json"
    )
    result = json.loads(done.stdout)
    assert (result["fitted"], result["labelled_defects"], result["labelled_normal"]) == (39, 1, 1)


def test_evaluate_gives_figures_with_intervals(
    fresh_nightglass: Run, scored: Path, night: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    rows = [f"{path.name},{'defect' if path.name.startswith('defect') else 'normal'}" for path in night.iterdir()]
    labels.write_text("path,label\n" + "\n".join(rows) + "\n")
    done = fresh_nightglass("evaluate", "--scores", scored, "--labels", labels, "--json")
    figures = json.loads(done.stdout)
    assert (figures["defects"], figures["normals"]) == (3, 9)
    assert figures["auroc"]["value"] == 1.0
    assert figures["detection_rate"]["low"] <= figures["detection_rate"]["value"] <= figures["detection_rate"]["high"]


def test_report_writes_one_file(fresh_nightglass: Run, scored: Path, tmp_path: Path) -> None:
    done = fresh_nightglass("report", "--scores", scored, "--out", tmp_path / "sub/report.html")
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "sub/report.html").read_text()
    assert "defect-00711.png" in html
    assert len(html) < 5_000_000


def test_bad_arguments_are_one_line(nightglass: Run, model: Path, night: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    images = ("--images", night)
    cases: list[tuple[list[object], str]] = [
        (["score", "--images", tmp_path / "nothing", "--model", model, "--out", out], "got nothing there"),
        (["score", *images, "--model", tmp_path / "nothing", "--out", out], "expected a detector folder"),
        (["score", *images, "--model", night, "--out", out], "detector.json"),
        (["score", *images, "--model", "models:/none@champion", "--out", out], "none"),
        (["score", *images, "--out", out], "--model"),
        (["score", *images, "--model", model, "--out", model / "detector.json"], "expected a folder, got the file"),
        (["score", *images, "--model", model, "--out", out, "--top-k", 0], "--top-k"),
        (["score", "--images", "ftpx://x/y", "--model", model, "--out", out], "ftpx"),
        (["fit", "--images", night, "--out", night], "not overwritten"),
        (["evaluate", "--scores", night, "--labels", night / "x.csv"], "x.csv"),
        (["report", "--scores", night, "--out", out], "score folder"),
        (["nonsense"], "nonsense"),
    ]
    for arguments, expected in cases:
        assert expected in one_line(nightglass(*arguments, env={"NIGHTGLASS_HOME": str(tmp_path / "home")})), arguments
    assert not out.exists()


def test_an_empty_folder_is_one_line(nightglass: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for command in (["fit", "--out", tmp_path / "m"], ["score", "--model", model, "--out", tmp_path / "o"]):
        line = one_line(nightglass(*command, "--images", tmp_path / "empty"))
        assert "got none and 0 other files" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images: x\nscheduel: null\n", "unknown key 'scheduel', did you mean 'schedule'?"),
        ("images: x\nschedule: null\nscoring: {topk: 3}\n", "unknown key 'scoring.topk', did you mean 'top_k'?"),
        ("images: x\nschedule: null\nscoring: {top_k: many}\n", "scoring.top_k"),
        ("images: x\n", "expected {night}"),
        ("- a\n- b\n", "expected a mapping"),
        ("a: [\n", "syntax error at line"),
        ("schedule: null\n", "missing key 'images'"),
        ("images: x\nschedule: null\ndetector: {backbone: {name: resnet999}}\n", "expected a timm model name"),
    ],
)
def test_a_wrong_collection_file_is_one_line(
    nightglass: Run, good_images: Path, tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "line-1.yaml"
    file.write_text(text)
    done = nightglass("fit", "--images", good_images, "--out", tmp_path / "m", "--collection", file)
    assert expected in one_line(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line-1.yaml"]


def test_wrong_labels_name_the_line(nightglass: Run, good_images: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    for text, expected in {
        "path,label\na.png,defekt\n": "line 2: expected the label defect or normal, got 'defekt'",
        "path,label\na.png,defect\na.png,normal\n": "line 3: expected one label a path",
        "image,label\n": "expected the header path,label, got image,label",
    }.items():
        labels.write_text(text)
        line = one_line(nightglass("fit", "--images", good_images, "--out", tmp_path / "m", "--labels", labels))
        assert expected in line


def test_too_few_good_images_is_one_line(nightglass: Run, tmp_path: Path) -> None:
    images = write_panels(tmp_path / "images", range(5))
    shutil.copy(images / "good-00000.png", images / "twice.png")
    line = one_line(nightglass("fit", "--images", images, "--out", tmp_path / "m"))
    assert "expected at least 10 different good images, got 5" in line
