import hashlib
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest

from nightglass.collections import Collection
from nightglass.engine.training_record import DELETED, read_training
from nightglass.maintenance.deletion_records import HIDDEN, Deletion, DeletionRequest, place_digest
from nightglass.maintenance.forget import forget_image
from nightglass.models import find_model
from nightglass.settings import Settings
from nightglass.store import Store, results_of_file
from tests.integration.maintenance.conftest import BROKEN, COPY, DEFECT, FIRST, GOOD, SECOND, run_night, top_paths
from tests.integration.maintenance.traces import find_bytes, find_text
from tests.integration.results import every_row, query

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]
NIGHTS = "nights/line"


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ask(digest: str, **changes: object) -> DeletionRequest:
    fields = {
        "collection": "line", "digest": digest, "is_original_deleted": False, "by": "ana", "reason": "he asked for it",
        "asked_at": "2026-03-09T10:00:00.000000Z",
    }  # fmt: skip
    return DeletionRequest.model_validate(fields | changes)


def vectors(folder: Path) -> dict[str, list[float]]:
    index = faiss.read_index(str(folder / "embeddings.faiss"))
    paths = pq.read_table(folder / "scores.parquet")["path"].to_pylist()
    assert index.ntotal == len(paths)
    return {path: index.reconstruct(row).tolist() for row, path in enumerate(paths)}


def everything(home: Path) -> dict[str, bytes]:
    """Every file but those that a look at a database touches."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and ".db" not in path.name
    }


def test_an_image_goes_from_every_place_that_names_or_shows_it(
    home: Path, collection: Collection, settings: Settings
) -> None:
    digest = sha(home / "images" / FIRST / DEFECT)
    before = {night: vectors(home / NIGHTS / night) for night in (FIRST, SECOND)}
    assert DEFECT in top_paths(home, FIRST)
    assert find_text(home, DEFECT) > {"nightglass.db", f"{NIGHTS}/{FIRST}/report.html"}
    assert find_text(home, "Mr Smith")
    rank = 1 + top_paths(home, FIRST).index(DEFECT)
    picture = (home / NIGHTS / FIRST / f"anomaly_maps/{rank:04d}.image.jpg").read_bytes()

    deletion = forget_image(collection, settings, ask(digest))

    assert (deletion.nights, deletion.models, deletion.waiting) == ([FIRST, SECOND], [], [])
    assert deletion.finished_at is not None
    assert (deletion.removed["images of nights"], deletion.removed["verdicts"]) == (3, 1)
    for trace in (DEFECT, COPY, "Mr Smith"):
        assert find_text(home, trace) == set(), trace
    assert find_bytes(home / "nights", picture) == set()
    for night, gone in ((FIRST, {DEFECT, COPY}), (SECOND, {DEFECT})):
        after = vectors(home / NIGHTS / night)
        assert after == {path: vector for path, vector in before[night].items() if path not in gone}
        listed = pq.read_table(home / NIGHTS / night / "manifest.parquet")["path"].to_pylist()
        assert not gone & set(listed)
        assert not gone & set(top_paths(home, night))
    assert (home / "images" / FIRST / DEFECT).exists()


def test_what_was_decided_stays_and_the_night_says_how_many_are_gone(
    home: Path, collection: Collection, settings: Settings, store: Store
) -> None:
    columns = "night, scored, anomalous, anomaly_rate, decision, sentence, published_at, data_version"
    before = query(home, f"SELECT {columns} FROM nights")
    forget_image(collection, settings, ask(sha(home / "images" / FIRST / DEFECT)))
    assert query(home, f"SELECT {columns} FROM nights") == before
    assert query(home, "SELECT night, deleted FROM nights ORDER BY night") == [(FIRST, 2), (SECOND, 1)]
    assert store.upkeep.scored_deletions("line") == {FIRST: 2, SECOND: 1}
    for night in (FIRST, SECOND):
        row = store.nights.find("line", night)
        assert row is not None
        assert row.result_sha256 in results_of_file((home / NIGHTS / night / "assessment.json").read_bytes())
    ((by, reason, nights, original),) = query(home, 'SELECT "by", reason, nights, is_original_deleted FROM deletions')
    assert (by, reason, nights, original) == ("ana", "he asked for it", f"{FIRST}\n{SECOND}", 0)
    ((path, note, verdict, said_by),) = query(home, 'SELECT path, note, verdict, "by" FROM verdicts')
    assert (path, note, verdict, said_by) == (HIDDEN, "", "defect", "ana")


def test_the_same_request_again_changes_nothing(home: Path, collection: Collection, settings: Settings) -> None:
    request = ask(sha(home / "images" / FIRST / DEFECT))
    first = forget_image(collection, settings, request)
    rows, files = every_row(home), everything(home)
    again = forget_image(collection, settings, request.model_copy(update={"by": "bob", "reason": "again"}))
    assert (again.is_new, again.nights, again.removed) == (False, first.nights, first.removed)
    assert (every_row(home), everything(home)) == (rows, files)


def test_a_detector_that_was_fitted_on_it_is_named_and_shows_it_no_more(
    home: Path, collection: Collection, settings: Settings, nightglass: Run
) -> None:
    digest, ref = sha(home / "good/good-00005.png"), "models:/nightglass-line/1"
    old = find_model(ref, settings).detector
    row = old.bank_images["sha256"].to_pylist().index(digest)
    thumbnail = old.bank_images["thumbnail"][row].as_py()
    assert find_bytes(home, thumbnail)
    with closing(sqlite3.connect(home / "nightglass.db")) as database, database:
        database.execute("UPDATE night_anomalies SET nearest_path = 'good-00005.png' WHERE sha256 <> ?", [digest])
    assert "nightglass.db" in find_text(home, "good-00005")

    deletion = forget_image(collection, settings, ask(digest))

    assert deletion.models == [ref]
    assert find_bytes(home, thumbnail) == set()
    assert find_text(home, GOOD) == set()
    assert find_text(home, "good-00005") == set()  # what the memory bank called it
    # The image's own files are still there: nobody asked for those.
    assert (home / "good/good-00005.png").exists()
    found = find_model(ref, settings)
    assert found.detector.fingerprint == old.fingerprint
    assert found.detector.bank_images["path"][row].as_py() == HIDDEN
    marked = read_training(found.detector.network_path.parent).filter(
        np.array(read_training(found.detector.network_path.parent)["reason"].to_pylist()) == DELETED
    )
    assert marked["sha256"].to_pylist() == [digest]
    assert "good-00005" not in repr(marked.to_pylist())
    told = nightglass("reproduce", ref, "--collection", home / "line.yaml", "--json")
    assert "one of its training images was deleted on request" in json.loads(told.stdout)["differences"]


def test_its_own_file_goes_only_where_that_is_asked_for_and_has_this_content(
    home: Path, collection: Collection, settings: Settings
) -> None:
    shown = [home / "images" / FIRST / DEFECT, home / "images" / FIRST / COPY, home / "images" / SECOND / DEFECT]
    digest = sha(shown[0])
    shown[1].write_bytes(b"somebody put another file there")
    deletion = forget_image(collection, settings, ask(digest, is_original_deleted=True))
    assert [path.exists() for path in shown] == [False, True, False]
    assert deletion.removed["originals"] == 2


def test_an_image_that_could_not_be_read_goes_by_its_place(
    home: Path, collection: Collection, settings: Settings
) -> None:
    manifest = pq.read_table(home / NIGHTS / SECOND / "manifest.parquet").to_pylist()
    (row,) = [row for row in manifest if row["path"] == BROKEN]
    digest = row["sha256"] or place_digest(SECOND, BROKEN)
    assert find_text(home, BROKEN)
    forget_image(collection, settings, ask(digest, night=None if row["sha256"] else SECOND))
    assert find_text(home, BROKEN) == set()
    assert query(home, f"SELECT deleted FROM nights WHERE night = '{SECOND}'") == [(1,)]


def test_a_night_that_is_listed_again_leaves_it_out(home: Path, collection: Collection, settings: Settings) -> None:
    forget_image(collection, settings, ask(sha(home / "images" / FIRST / DEFECT)))
    run_night(home, FIRST)
    assert find_text(home / "nights", DEFECT) == set()
    ((scored, ignored, deleted),) = query(home, f"SELECT scored, ignored, deleted FROM nights WHERE night = '{FIRST}'")
    assert (scored, ignored, deleted) == (40, 2, 0)


def test_a_night_in_work_is_waited_for(home: Path, collection: Collection, settings: Settings) -> None:
    digest = sha(home / "images" / FIRST / DEFECT)
    (home / NIGHTS / FIRST / ".shards").mkdir()
    (home / NIGHTS / FIRST / ".shards/00000.parquet").write_bytes(b"half")
    waiting = forget_image(collection, settings, ask(digest))
    assert (waiting.finished_at, waiting.nights) == (None, [SECOND])
    assert waiting.waiting == [f"{FIRST}: it is being scored, or a run of it was given up"]
    assert find_text(home / NIGHTS / FIRST, DEFECT)
    done = forget_image(collection, settings, ask(digest), is_idle=lambda: True)
    assert done.nights == [FIRST, SECOND]
    assert find_text(home, DEFECT) == set()


def test_the_command_asks_first_and_tells_what_went(home: Path, nightglass: Run) -> None:
    asked = ["forget", "--collection", home / "line.yaml", "--night", FIRST, "--path", COPY, "--reason", "he asked"]
    refused = nightglass(*asked)
    assert refused.returncode == 1
    assert "Expected --yes, got nobody to ask" in refused.stderr
    assert find_text(home, COPY)
    done = nightglass(*asked, "--yes", "--by", "ana", "--json")
    assert done.returncode == 0, done.stderr
    assert Deletion.model_validate_json(done.stdout).nights == [FIRST, SECOND]
    wrong = nightglass(*asked[:-4], "--path", "../../../etc/passwd", "--reason", "x", "--yes")
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (1, False)
    assert "expected an image of the night" in wrong.stderr
    shutil.rmtree(home / "nights")
    assert nightglass("forget", "--collection", "line", "--sha256", "x", "--reason", "y", "--yes").returncode == 1
