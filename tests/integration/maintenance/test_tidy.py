import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from nightglass.collections import read_collection
from nightglass.engine.results import only_writer
from nightglass.maintenance import forget
from nightglass.maintenance.upkeep import tidy_collection
from nightglass.night.report.source import read_scored_night
from nightglass.retraining.gathering import find_nights
from nightglass.settings import Settings
from nightglass.storage import Folder, open_folder
from nightglass.store import Store
from nightglass.store.upkeep import CollectionInWorkError
from tests.integration.deletion_requests import request_deletion_of
from tests.integration.maintenance.conftest import DEFECT, FIRST, SECOND, run_night
from tests.integration.maintenance.killing import KilledError, Patience
from tests.integration.maintenance.traces import find_bytes
from tests.integration.results import query

pytestmark = pytest.mark.integration
NIGHTS = "nights/line"


def set_retention(home: Path, **options: object) -> None:
    """The nights are months old by now; one of them is the last that a retraining would use."""
    file = home / "line.yaml"
    text = file.read_text().partition("retention:")[0].replace("retraining: {", "retraining: {nights: 1, ")
    file.write_text(f"{text.replace('nights: 1, nights: 1, ', 'nights: 1, ')}retention: {json.dumps(options)}\n")


def tidy(home: Path, settings: Settings, *, dry_run: bool = False):
    return tidy_collection(read_collection(home / "line.yaml"), settings, is_idle=lambda: True, dry_run=dry_run)


def names(home: Path, night: str) -> set[str]:
    return {path.name for path in (home / NIGHTS / night).iterdir()}


def test_old_files_go_but_for_what_is_needed(
    home: Path, settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20)
    planned = tidy(home, settings, dry_run=True)
    assert "embeddings.faiss" in names(home, FIRST)
    with caplog.at_level("INFO", logger="nightglass"):
        done = tidy(home, settings)
    assert done.removed == planned.removed
    assert [(each.night, each.kind) for each in done.removed] == [(FIRST, "embeddings")]
    assert {(each.night, each.kind): each.kept_because for each in done.kept} == {
        (FIRST, "pictures"): "one of its images has a verdict",
        (SECOND, "pictures"): "a retraining would take images from it, one of the last 1 nights",
        (SECOND, "embeddings"): "a retraining would take images from it, one of the last 1 nights",
    }
    assert f"line {SECOND}: the pictures stay: a retraining would take images" in caplog.text
    assert "embeddings.faiss" not in names(home, FIRST)
    assert find_nights(open_folder(home / NIGHTS), None, None, 14) == [SECOND]
    assert tidy(home, settings).removed == []


def test_pictures_that_went_are_told_where_they_were(home: Path, settings: Settings, store: Store) -> None:
    set_retention(home, pictures_days=30, embeddings_days=None, keep_judged=False)
    picture = next((home / NIGHTS / FIRST / "anomaly_maps").glob("0001.image.jpg")).read_bytes()
    before = query(home, "SELECT night, scored, decision, published_at FROM nights ORDER BY night")
    tidy(home, settings)
    assert find_bytes(home / NIGHTS / FIRST, picture) == set()
    reports = [home / NIGHTS / FIRST / "report.html", *(home / "mlartifacts").rglob("report.html")]
    told = [
        report for report in reports if "The pictures of this night were removed after 30 days." in report.read_text()
    ]
    assert len(told) == 2  # the night's own, and that of its run in MLflow
    assert "data:image/jpeg" not in told[0].read_text()
    assert query(home, "SELECT night, scored, decision, published_at FROM nights ORDER BY night") == before
    assert read_scored_night(open_folder(home / NIGHTS / FIRST)).summary.scored == before[0][1]
    run_night(home, FIRST, rescore=True)
    assert store.upkeep.removals_of_night("line", FIRST) == {}
    assert "were removed after" not in (home / NIGHTS / FIRST / "report.html").read_text()


def test_what_was_begun_to_be_removed_goes_wherever_the_process_died(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20, keep_judged=False)
    night = home / NIGHTS / FIRST
    assert list(night.rglob("*.jpg"))
    patience, deaths = Patience(), 0
    with monkeypatch.context() as patch:
        for name in ("writing", "remove"):
            patch.setattr(Folder, name, patience.guard(getattr(Folder, name)))
        for writes in range(200):
            patience.left = writes
            try:
                tidy(home, settings)
                break
            except KilledError:
                deaths += 1
    assert deaths > 5
    assert not [path for path in night.rglob("*") if path.suffix in {".jpg", ".png", ".faiss"}]
    assert "data:image/jpeg" not in (night / "report.html").read_text()
    assert list((home / NIGHTS / ".thinning").iterdir()) == []
    assert tidy(home, settings).removed == []


def test_a_folder_whose_name_is_no_date_is_left_alone(home: Path, settings: Settings) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20)
    stray = home / NIGHTS / "2026-02-30/picture.jpg"
    stray.parent.mkdir()
    stray.write_bytes(b"somebody's")
    assert [each.night for each in tidy(home, settings).removed] == [FIRST]
    assert stray.exists()


def test_a_night_that_was_never_published_is_told_once(home: Path, settings: Settings) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20)
    given_up = home / NIGHTS / "2026-01-05"
    given_up.mkdir()
    (given_up / "embeddings.faiss").write_bytes(b"of a run that died")
    assert (tidy(home, settings).removed[0].night, (given_up / "embeddings.faiss").exists()) == ("2026-01-05", False)
    assert tidy(home, settings).removed == []


def test_a_night_without_embeddings_can_be_run_again(home: Path, settings: Settings, store: Store) -> None:
    set_retention(home, pictures_days=None, embeddings_days=20)
    tidy(home, settings)
    before = query(home, f"SELECT scored, anomalous, decision FROM nights WHERE night = '{FIRST}'")
    run_night(home, FIRST)
    assert "embeddings.faiss" in names(home, FIRST)
    assert store.upkeep.removals_of_night("line", FIRST) == {}
    assert query(home, f"SELECT scored, anomalous, decision FROM nights WHERE night = '{FIRST}'") == before


def test_a_night_in_work_and_a_collection_in_other_hands_are_left_alone(
    home: Path, settings: Settings, store: Store
) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20)
    with closing(sqlite3.connect(home / "nightglass.db")) as database, database:
        database.execute("INSERT INTO nights_in_work VALUES ('line', ?, '2999-01-01T00:00:00.000000Z')", (FIRST,))
    kept = tidy_collection(read_collection(home / "line.yaml"), settings, is_idle=lambda: False)
    assert kept.removed == []
    assert "a run works on it" in next(each.kept_because or "" for each in kept.kept if each.night == FIRST)
    with closing(sqlite3.connect(home / "nightglass.db")) as database, database:
        database.execute("DELETE FROM nights_in_work")
        database.execute("INSERT INTO maintenance_leases VALUES ('line', 'somebody', '2999-01-01T00:00:00.000000Z')")
    with pytest.raises(CollectionInWorkError, match="got somebody until 2999-01-01"):
        tidy(home, settings)
    with pytest.raises(CollectionInWorkError, match="expected that nobody rewrites its nights, got somebody"):
        run_night(home, FIRST)


def test_what_given_up_runs_left_goes_after_some_days(home: Path, settings: Settings, store: Store) -> None:
    set_retention(home, pictures_days=None, embeddings_days=None, unfinished_days=3)
    fresh, night = home / NIGHTS / SECOND / ".shards/ab", home / NIGHTS / FIRST
    old = [night / ".shards/cd", night / "shadow/.shards/ef", night / "rescored/2/.shards/01"]
    for folder in (fresh, *old):
        folder.mkdir(parents=True)
        (folder / "00000.parquet").write_bytes(b"half")
    past = time.time() - 4 * 86_400
    for folder in old:
        os.utime(folder / "00000.parquet", (past, past))
    done = tidy(home, settings)
    assert done.unfinished_files == 3
    assert (fresh.exists(), [folder.exists() for folder in old]) == (True, [False] * 3)


def test_unfinished_files_that_somebody_goes_on_with_stay(home: Path, settings: Settings, store: Store) -> None:
    set_retention(home, pictures_days=None, embeddings_days=None, unfinished_days=3)
    rescored = home / NIGHTS / FIRST / "rescored/2"
    shard = rescored / ".shards/ab/00000.parquet"
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"one of many")
    os.utime(shard, (0, 0))
    with only_writer(open_folder(rescored)):  # as a backfill by hand has it
        assert tidy(home, settings).unfinished_files == 0
    assert shard.exists()
    assert tidy(home, settings).unfinished_files == 1
    assert list(rescored.iterdir()) == []


def test_a_night_that_a_deletion_is_begun_in_loses_nothing_else_meanwhile(
    home: Path, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20, keep_judged=False)
    request = request_deletion_of(home / "images" / FIRST / DEFECT)
    with monkeypatch.context() as patch:
        patch.setattr(forget, "apply_plan", Patience().guard(forget.apply_plan))
        with pytest.raises(KilledError):
            forget.forget_image(read_collection(home / "line.yaml"), settings, request)
    planned = tidy(home, settings, dry_run=True)
    assert {each.kept_because for each in planned.kept if each.night == FIRST} == {"a deletion is begun in it"}
    assert (FIRST, "embeddings") in {(each.night, each.kind) for each in tidy(home, settings).removed}
