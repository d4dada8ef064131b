import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightglass.maintenance.leftovers import remove_temporary
from nightglass.settings import Settings

DAY = 86_400


def make(path: Path, days: float) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text("x")
    past = time.time() - days * DAY
    for each in (path / "file", path):
        os.utime(each, (past, past))
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_only_what_is_old_and_its_own_goes(tmp_path: Path, temporary: Path) -> None:
    home = tmp_path / "home"
    gone = [
        make(temporary / "nightglass-ab12_xyz", 2),
        make(home / "challengers/cells", 2),
        make(home / "models/nightglass-cells/1/.downloading-x", 2),
        make(home / "models/nightglass-cells/1/0123456789ab", 40),
    ]
    kept = [
        make(temporary / "nightglass-ab12_new", 0.5),
        make(temporary / "nightglass-my-own-notes", 400),
        make(temporary / "somebody-elses", 400),
        make(home / "models/nightglass-cells/2/0123456789ab", 20),
        make(home / "nights/cells/2026-03-02", 400),
    ]
    settings = Settings(home=home).resolved()
    assert remove_temporary(settings, datetime.now(UTC), dry_run=True) == 4
    assert all(path.exists() for path in gone)
    assert remove_temporary(settings, datetime.now(UTC), dry_run=False) == 4
    assert [path.exists() for path in (*gone, *kept)] == [False] * 4 + [True] * 5


def test_a_link_of_such_a_name_is_left_alone(tmp_path: Path, temporary: Path) -> None:
    target = make(tmp_path / "target", 400)
    temporary.mkdir()
    (temporary / "nightglass-ab12_xyz").symlink_to(target)
    assert remove_temporary(Settings(home=tmp_path / "home").resolved(), datetime.now(UTC), dry_run=False) == 0
    assert (target / "file").exists()
