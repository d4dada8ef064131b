"""A home with a champion and two scored nights, and every trace that an image leaves in it."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nightglass.collections import Collection, read_collection
from nightglass.night import flow
from nightglass.settings import Settings, read_settings
from nightglass.store import Store
from tests.conftest import draw_panel, write_panels

Run = Callable[..., subprocess.CompletedProcess[str]]
FIRST, SECOND = "2026-03-02", "2026-03-03"
#: The same content on both nights, in the first one twice; the name of one is hostile.
DEFECT, COPY = "line/an odd <b 'defect' \"1\".png", "line/copy.png"
#: An image that the champion was fitted on turns up at night.
GOOD = "line/known.png"
BROKEN = "line/broken secret.png"
COLLECTION = """
images: {images}/{{night}}
schedule: null
detector: {{precision: auto}}
ready: {{quiet_minutes: 0}}
scoring: {{shard_size: 20, batch_size: 4, top_k: 6}}
decision: {{min_images: 20, min_baseline_nights: 2}}
retraining: {{screen_rate: 0.3, adapt: none}}
"""


def run_night(home: Path, night: str, *, rescore: bool = False) -> dict[str, object]:
    plan = flow.list_night(str(home / "line.yaml"), night, rescore=rescore)
    for shard in flow.validate_night(plan):
        flow.score_night_shard(plan, shard)
    flow.assess_night(plan)
    return flow.publish_night(plan)


@pytest.fixture(scope="session")
def built(nightglass: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The home and a copy of it: what a test changes is put back from the copy, at the same address."""
    folder = tmp_path_factory.mktemp("kept")
    home, images = folder / "home", folder / "home" / "images"
    good = write_panels(home / "good", range(40))
    for night, seeds in ((FIRST, range(100, 140)), (SECOND, range(200, 240))):
        write_panels(images / night / "line", seeds, defects=2)
        draw_panel(999, is_defect=True).save(images / night / DEFECT)
    shutil.copy(images / FIRST / DEFECT, images / FIRST / COPY)
    shutil.copy(good / "good-00005.png", images / SECOND / GOOD)
    (images / SECOND / BROKEN).write_bytes(b"\x89PNG\r\n\x1a\nno more of it")
    (home / "line.yaml").write_text(COLLECTION.format(images=images))
    environment = os.environ | {"NIGHTGLASS_HOME": str(home), "NIGHTGLASS_COLLECTIONS_DIR": str(home)}
    done = nightglass(
        "fit", "--images", good, "--out", home / "fitted", "--collection", home / "line.yaml", "--register",
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shutil.rmtree(home / "fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTGLASS_HOME", str(home))
        run_night(home, FIRST)
        run_night(home, SECOND)
    said = nightglass(
        "verdict", "add", "--collection", home / "line.yaml", "--night", FIRST, "--path", DEFECT, "--verdict", "defect",
        "--by", "ana", "--note", "the scratch on Mr Smith's roof", env=environment,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    return home, Path(shutil.copytree(home, folder / "copy"))


@pytest.fixture
def home(built: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home as it was built."""
    home, copy = built
    _put_back(home, copy)
    monkeypatch.setenv("NIGHTGLASS_HOME", str(home))
    monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(home))
    return home


def _put_back(home: Path, copy: Path) -> None:
    """Make the home what its copy is; the databases in place, as MLflow keeps them open."""
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for path in copy.iterdir():
        if path.is_dir():
            shutil.copytree(path, home / path.name)
        elif path.suffix == ".db":
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(home / path.name)) as target:
                source.backup(target)
                target.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # tests look into the file itself


@pytest.fixture
def collection(home: Path) -> Collection:
    return read_collection(home / "line.yaml")


@pytest.fixture
def settings(home: Path) -> Settings:
    return read_settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        yield store


def top_paths(home: Path, night: str) -> list[str]:
    listed = json.loads((home / "nights/line" / night / "top_anomalies.json").read_text())
    return [image["path"] for image in listed["top_anomalies"]]
