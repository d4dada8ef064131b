"""A deletion that dies before every single write, again and again, ends as one that was left alone."""

from pathlib import Path
from typing import Any

import pytest

from nightglass.collections import Collection
from nightglass.maintenance import forget
from nightglass.maintenance.forget import finish_requests, forget_image
from nightglass.settings import Settings
from nightglass.storage import Folder
from nightglass.version_files import VersionFiles
from tests.integration.deletion_requests import request_deletion_of
from tests.integration.maintenance.conftest import GOOD, SECOND
from tests.integration.maintenance.killing import KilledError, Patience
from tests.integration.maintenance.traces import find_text
from tests.integration.results import every_row

pytestmark = pytest.mark.integration


def outcome(home: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files and rows, but for the times of the deletion itself and what it counted before it died."""
    files = {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and ".db" not in path.name and ".deletions" not in path.parts
    }
    return files, {name: rows for name, rows in every_row(home).items() if name != "deletion_log"}


def test_it_goes_on_wherever_it_died(
    home: Path, collection: Collection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An image that a night, the detector and, as a neighbour, other images' records show.
    request = request_deletion_of(home / "images" / SECOND / GOOD, is_original_deleted=True)
    patience, deaths = Patience(), 0
    with monkeypatch.context() as patch:
        for kind, name in ((Folder, "writing"), (Folder, "take"), (Folder, "remove"), (VersionFiles, "write")):
            patch.setattr(kind, name, patience.guard(getattr(kind, name)))
        for writes in range(200):
            patience.left = writes
            try:
                # A person asks until the request is noted; then maintenance goes on with it.
                done = finish_requests(collection, settings) or [forget_image(collection, settings, request)]
                break
            except KilledError:
                deaths += 1
    assert deaths > 5
    assert [deletion.finished_at is not None for deletion in done] == [True]
    assert find_text(home, GOOD) == set()
    assert not (home / "images" / SECOND / GOOD).exists()
    assert not (home / "good/good-00005.png").exists()
    before = outcome(home)
    # Once more from the beginning, as after a restored backup: there is nothing left to do.
    assert forget_image(collection, settings, request).is_new is False
    assert outcome(home) == before


def test_a_second_deletion_waits_for_one_that_died_in_the_same_night(
    home: Path, collection: Collection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = home / "images" / SECOND
    # Maintenance takes them in the order of their keys: the first one finds what the second one left behind.
    first, second = sorted(
        map(request_deletion_of, sorted((night / "line").glob("good-*"))[:2]), key=lambda request: request.key
    )
    with monkeypatch.context() as patch:
        patch.setattr(forget, "apply_plan", Patience().guard(forget.apply_plan))
        with pytest.raises(KilledError):
            forget_image(collection, settings, second)
    waiting = forget_image(collection, settings, first)
    assert waiting.waiting == [f"{SECOND}: another deletion was killed there, and goes on first"]
    done = finish_requests(collection, settings)
    assert [deletion.finished_at is not None for deletion in done] == [False, True]
    assert [deletion.finished_at is not None for deletion in finish_requests(collection, settings)] == [True]
    assert finish_requests(collection, settings) == []
