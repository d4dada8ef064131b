"""Nights that were decided with version 1, and version 2, which knows a new kind of panels as good."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_panels
from tests.integration.backfill.steps import NEW_NIGHT, NIGHTS
from tests.integration.retraining_steps import COLLECTION, Home, write_new_panels, write_night

Run = Callable[..., subprocess.CompletedProcess[str]]
DRIFT = "drift: {watch_psi: 10, retrain_psi: 10, watch_separability: 1, retrain_separability: 1}\n"


@pytest.fixture(scope="session")
def decided(nightglass: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """A home with two versions and three published nights, and the folder of its images."""
    base = tmp_path_factory.mktemp("backfill")
    images, home = base / "images", Home(base / "home")
    home.path.mkdir()
    text = COLLECTION.format(images=f"{images}/{{night}}", size_ratio=10)
    Path(home.file).write_text(DRIFT + text.replace("min_images: 20", "min_images: 20, expected_anomaly_rate: 0.02"))
    write_panels(images / "good", range(60))
    for version in ("1", "2"):
        done = nightglass(
            "fit", "--images", images / "good", "--out", base / f"detector-{version}", "--collection", home.file,
            "--register", env={"NIGHTGLASS_HOME": str(home.path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        write_new_panels(images / "good" / "new", range(100, 160))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTGLASS_HOME", str(home.path))
        for place, night in enumerate(NIGHTS):
            write_night(images / night, 1000 * place + 2000, 60, defects=1, new=30 if night == NEW_NIGHT else 0)
            home.run_night(night)
    return home, images


@pytest.fixture
def home(decided: tuple[Home, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of it, whose images are its own."""
    source, images = decided
    copy = source.copy(tmp_path / "home")
    shutil.copytree(images, tmp_path / "images")
    told, mine = str(images), str(tmp_path / "images")
    Path(copy.file).write_text(Path(copy.file).read_text().replace(told, mine))
    copy.execute(f"UPDATE night_results SET images_url = replace(images_url, '{told}', '{mine}')")
    monkeypatch.setenv("NIGHTGLASS_HOME", str(copy.path))
    return copy
