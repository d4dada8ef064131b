"""How a new set of results takes the place of an old one, also where it dies half-way."""

from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from nightglass.engine.results import forget_other_results, replace_results, stage_results
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.storage import Folder, open_folder

SCORED = ("scores.parquet", "quarantine.parquet", "embeddings.faiss", "top_anomalies.json", "summary.json")
JUDGED = ("assessment.json", "report.html", "shadow.json")


class DyingDisk(LocalFileSystem):
    """Dies when it is to remove something after the first ``removals`` things."""

    cachable = False

    def __init__(self, removals: int) -> None:
        super().__init__()
        self.removals = removals

    def rm(self, path: str, **options: object) -> None:
        if Path(path).exists():
            if not self.removals:
                raise SystemExit("killed")
            self.removals -= 1
        super().rm(path, **options)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder with all that an older run of the night left."""
    for name in (*SCORED, *JUDGED, "validation.json"):
        (tmp_path / name).write_text("old")
    (tmp_path / "anomaly_maps").mkdir()
    (tmp_path / "anomaly_maps/0001.map.png").write_text("old")
    return tmp_path


def replace(folder: Folder) -> None:
    staged = stage_results(folder)
    for name in (*SCORED[:-1], "anomaly_maps/0001.map.png"):
        staged.write_bytes(name, b"new")
    replace_results(folder, staged, b"new")


def scores(night: Path) -> set[str]:
    files = [night / name for name in (*SCORED, "anomaly_maps/0001.map.png")]
    return {file.read_text() if file.exists() else "none" for file in files}


@pytest.mark.parametrize("removals", range(10))
def test_old_scores_that_are_no_longer_whole_have_no_judgement(night: Path, removals: int) -> None:
    with pytest.raises(SystemExit):
        replace(Folder(DyingDisk(removals), str(night), "night"))
    if scores(night) != {"old"}:
        assert not [name for name in JUDGED if (night / name).exists()]
    replace(open_folder(night))
    assert scores(night) == {"new"}
    assert not [name for name in JUDGED if (night / name).exists()]
    assert (night / "validation.json").read_text() == "old"  # it is of the images, and written before the scores


def test_the_last_removal_was_among_those_that_were_tried(night: Path) -> None:
    replace(Folder(DyingDisk(10), str(night), "night"))
    assert scores(night) == {"new"}


@pytest.mark.parametrize("removals", range(10))
def test_nothing_of_other_images_outlives_its_assessment(night: Path, removals: int) -> None:
    def manifest(version: str) -> Manifest:
        return Manifest(SCHEMA.empty_table(), ignored=0, data_version=version)

    write_manifest(manifest("old"), open_folder(night))
    with pytest.raises(SystemExit):
        forget_other_results(Folder(DyingDisk(removals), str(night), "night"), manifest("new"))
    if scores(night) != {"old"}:
        assert not (night / "assessment.json").exists()
    forget_other_results(open_folder(night), manifest("new"))
    assert {path.name for path in night.iterdir()} == {"manifest.parquet"}
