"""How a new set of results takes the place of an old one, also where it dies half-way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from nightglass.engine.results import (
    forget_other_results,
    read_standing,
    remove_shards,
    replace_results,
    settle_results,
    stage_results,
)
from nightglass.errors import InputError, StorageError
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.storage import Folder, open_folder

SCORED = ("scores.parquet", "quarantine.parquet", "embeddings.faiss", "top_anomalies.json", "summary.json")
JUDGED = ("assessment.json", "report.html", "shadow.json")


@pytest.fixture
def die_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the process die when it is to remove or move something after so many changes of the disk."""

    def arm(changes: int) -> None:
        left = changes

        def dying(change: Callable[..., object]) -> Callable[..., object]:
            def run(*arguments: Any, **options: Any) -> object:
                nonlocal left
                if any(isinstance(name, str | Path) and Path(name).exists() for name in arguments):
                    if not left:
                        raise SystemExit("killed")
                    left -= 1
                return change(*arguments, **options)

            return run

        for owner, name in ((LocalFileSystem, "rm"), (LocalFileSystem, "rm_file"), (Path, "replace")):
            monkeypatch.setattr(owner, name, dying(getattr(owner, name)))

    return arm


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder with all that an older run of the night left."""
    for name in (*SCORED, *JUDGED, "validation.json"):
        (tmp_path / name).write_text("old")
    (tmp_path / "anomaly_maps").mkdir()
    (tmp_path / "anomaly_maps/0001.map.png").write_text("old")
    return tmp_path


def stage(folder: Folder) -> Folder:
    staged = stage_results(folder)
    for name in (*SCORED[:-1], "anomaly_maps/0001.map.png"):
        staged.write_bytes(name, b"new")
    return staged


def scores(night: Path) -> set[str]:
    files = [night / name for name in (*SCORED, "anomaly_maps/0001.map.png")]
    return {file.read_text() if file.exists() else "none" for file in files}


# All judged of it, its summary, four files, one map, the new summary.
@pytest.mark.parametrize("changes", range(10))
def test_old_scores_that_are_no_longer_whole_have_no_judgement(
    night: Path, die_after: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    folder = open_folder(night)
    staged, old = stage(folder), read_standing(folder)
    die_after(changes)
    with pytest.raises(SystemExit):
        replace_results(folder, staged, b"new", old=old)
    monkeypatch.undo()
    if scores(night) != {"old"}:
        assert not [name for name in JUDGED if (night / name).exists()]
    replace_results(folder, stage(folder), b"new", old=read_standing(folder))
    assert scores(night) == {"new"}
    assert not [name for name in JUDGED if (night / name).exists()]
    assert (night / "validation.json").read_text() == "old"  # it is of the images, and written before the scores


def test_the_last_change_was_among_those_that_were_tried(night: Path, die_after: Callable[[int], None]) -> None:
    folder = open_folder(night)
    staged, old = stage(folder), read_standing(folder)
    die_after(11)  # the last one only tidies up
    replace_results(folder, staged, b"new", old=old)
    assert scores(night) == {"new"}


def test_what_was_judged_while_a_late_writer_worked_stays(night: Path) -> None:
    folder = open_folder(night)
    for name in (*JUDGED, "summary.json"):
        folder.remove(name)
    staged, old = stage(folder), read_standing(folder)
    for name in JUDGED:  # by its successor, at the very moment when it puts its own set in place
        folder.write_bytes(name, b"new")
    replace_results(folder, staged, b"new", old=old)
    assert scores(night) == {"new"}
    assert {name for name in JUDGED if (night / name).exists()} == set(JUDGED)


def test_a_set_that_was_tidied_away_takes_nothing_with_it(night: Path) -> None:
    folder = open_folder(night)
    staged, old = stage(folder), read_standing(folder)
    remove_shards(folder)
    with pytest.raises(StorageError, match="expected a complete set of results"):
        replace_results(folder, staged, b"new", old=old)
    assert scores(night) == {"old"}


@pytest.mark.parametrize(("theirs", "kept"), [("key", True), ("another", False)])
def test_a_late_writer_leaves_what_its_successor_wrote(night: Path, theirs: str, *, kept: bool) -> None:
    folder = open_folder(night)
    staged, old = stage(folder), read_standing(folder)
    other = {"score_key": theirs, "top_k": 3, "by": "the successor"}
    (night / "summary.json").write_text(json.dumps(other))
    mine = {"score_key": "key", "top_k": 3, "by": "the late one"}
    if kept:
        assert settle_results(folder, staged, mine, old=old) == other
    else:
        with pytest.raises(InputError, match="another one wrote other results"):
            settle_results(folder, staged, mine, old=old)
    assert (night / "scores.parquet").read_text() == "old"
    assert json.loads((night / "summary.json").read_text()) == other
    assert staged.names() == []


@pytest.mark.parametrize("changes", range(10))
def test_nothing_of_other_images_outlives_its_assessment(
    night: Path, die_after: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    def manifest(version: str) -> Manifest:
        return Manifest(SCHEMA.empty_table(), ignored=0, data_version=version)

    write_manifest(manifest("old"), open_folder(night))
    die_after(changes)
    with pytest.raises(SystemExit):
        forget_other_results(open_folder(night), manifest("new"))
    monkeypatch.undo()
    if scores(night) != {"old"}:
        assert not (night / "assessment.json").exists()
    forget_other_results(open_folder(night), manifest("new"))
    assert {path.name for path in night.iterdir()} == {"manifest.parquet"}
