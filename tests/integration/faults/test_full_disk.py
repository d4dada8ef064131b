"""The disk on which files wait for their upload is full in the middle of a night."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nightglass.errors import StorageError
from tests.conftest import SmallDisk
from tests.faults.comparison import Left, assert_same
from tests.faults.full_disk import fill
from tests.integration.faults.conftest import Line

pytestmark = pytest.mark.integration


@pytest.fixture
def temporary(small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TMPDIR with room for one shard at a time."""
    disk = small_disk("size=512k")
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    return disk


@pytest.mark.parametrize("step", ["score", "assess", "publish"])
def test_a_full_disk_may_heal_and_leaves_nothing_half(
    make_line: Callable[..., Line], temporary: Path, undisturbed: Left, step: str
) -> None:
    line = make_line(f"full-disk-{step}")
    plan = line.list_images()
    shards = line.validate(plan)
    steps = [
        ("score", lambda: [line.score(plan, shard) for shard in shards]),
        ("assess", lambda: line.assess(plan)),
        ("publish", lambda: line.publish(plan)),
    ]
    for name, run in steps:
        if name == step:
            before = line.folder.files("")
            filler = fill(temporary)
            with pytest.raises(StorageError, match="No space left on device") as caught:
                run()
            assert caught.value.can_heal
            del caught  # its traceback holds files open, and with them the disk
            assert [path.name for path in temporary.iterdir()] == [filler.name]
            assert not set(line.folder.files("")) - set(before)
            filler.unlink()
        run()
    assert_same(line.left(), undisturbed)
    assert not list(temporary.iterdir())
