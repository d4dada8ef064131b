"""Deletions that cannot be carried out as things are: all else goes on, and nothing is taken for done that is not."""

import errno
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightglass import version_files
from nightglass.collections import Collection
from nightglass.errors import InputError
from nightglass.maintenance.deletion_records import DeletionRequest
from nightglass.maintenance.forget import DeletionsFailedError, forget_image
from nightglass.maintenance.journal import Journal
from nightglass.settings import Settings
from nightglass.storage import open_folder
from nightglass.store import Store
from tests.integration.deletion_requests import request_deletion_of
from tests.integration.maintenance.conftest import COPY, DEFECT, FIRST, GOOD, SECOND
from tests.integration.maintenance.test_tidy import NIGHTS, names, set_retention, tidy
from tests.integration.maintenance.traces import find_text

pytestmark = pytest.mark.integration


def ask(home: Path, image: Path, *, is_original_deleted: bool = False) -> DeletionRequest:
    """Note a request that maintenance goes on with."""
    request = request_deletion_of(image, is_original_deleted=is_original_deleted)
    Journal(open_folder(home / NIGHTS)).open(request)
    return request


@contextmanager
def refused(images: Path, elsewhere: Path) -> Iterator[None]:
    """A folder whose images may not be removed: it is a link that leads out of the collection's."""
    images.rename(elsewhere)
    images.symlink_to(elsewhere)
    try:
        yield
    finally:
        images.unlink()
        elsewhere.rename(images)


def listed(home: Path, night: str) -> set[str]:
    return set(pq.read_table(home / NIGHTS / night / "manifest.parquet")["path"].to_pylist())


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def other_footer(data: bytes) -> bytes:
    return data[:-200] + bytes(byte ^ 0x5A for byte in data[-200:-8]) + data[-8:]


def other_page(data: bytes) -> bytes:
    """The values of a column that is read only when the file is written anew."""
    group = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    columns = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    found = columns["image_score"]
    start = found.dictionary_page_offset or found.data_page_offset
    stop = start + found.total_compressed_size
    return data[: start + 8] + bytes(byte ^ 0x5A for byte in data[start + 8 : stop]) + data[stop:]


def other_fields(data: bytes) -> bytes:
    record = json.loads(data)
    del record["data_version"]
    return json.dumps(record).encode()


def test_one_that_fails_stops_nothing_else(home: Path, settings: Settings, store: Store, tmp_path: Path) -> None:
    set_retention(home, pictures_days=None, embeddings_days=20)
    inside = home / "images" / SECOND / "line"
    first, second, *_ = sorted(inside.glob("good-*"))
    bad, good = ask(home, first, is_original_deleted=True), ask(home, second)
    of_nobody = home / NIGHTS / f".deletions/{'0' * 64}.json"
    of_nobody.write_text("{")
    told = r"line: expected to end all deletions, got 2 that fail and 0 that wait; they are kept\. .*another file"
    with refused(inside, tmp_path / "elsewhere"), pytest.raises(DeletionsFailedError, match=told):
        tidy(home, settings)
    assert "embeddings.faiss" not in names(home, FIRST)
    assert store.upkeep.deletions.finished("line") == {good.key}
    of_nobody.unlink()
    tidy(home, settings)
    assert store.upkeep.deletions.finished("line") == {bad.key, good.key}


def test_what_it_finds_its_images_by_stays_until_it_is_done(
    home: Path, settings: Settings, store: Store, tmp_path: Path
) -> None:
    set_retention(home, pictures_days=None, embeddings_days=20, scores_days=30)
    inside = home / "images" / FIRST / "line"
    request = ask(home, home / "images" / FIRST / DEFECT, is_original_deleted=True)
    with refused(inside, tmp_path / "elsewhere"), pytest.raises(DeletionsFailedError):
        tidy(home, settings)
    assert "embeddings.faiss" not in names(home, FIRST)
    assert "manifest.parquet" in names(home, FIRST)
    assert DEFECT not in listed(home, SECOND)  # the other night is not kept waiting
    assert tidy(home, settings).deletions == 1
    assert not [name for name in (DEFECT, COPY) if (home / "images" / FIRST / name).exists()]
    assert "manifest.parquet" not in names(home, FIRST)
    assert store.upkeep.deletions.finished("line") == {request.key}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        pytest.param("manifest.parquet", cut, id="manifest cut off"),
        pytest.param("manifest.parquet", other_footer, id="manifest changed"),
        pytest.param("scores.parquet", cut, id="scores cut off"),
        pytest.param("scores.parquet", other_footer, id="scores changed"),
        pytest.param("scores.parquet", other_page, id="scores with another page"),
        pytest.param("summary.json", cut, id="summary cut off"),
        pytest.param("top_anomalies.json", cut, id="top anomalies cut off"),
        pytest.param("assessment.json", cut, id="assessment cut off"),
        pytest.param("embeddings.faiss", cut, id="index cut off"),
        pytest.param("assessment.json", other_fields, id="assessment without a field"),
        pytest.param(".redacting/plan.json", lambda _: b"{", id="plan cut off"),
    ],
)
def test_a_damaged_file_stops_no_other_night(
    home: Path, settings: Settings, store: Store, name: str, damage: Callable[[bytes], bytes]
) -> None:
    set_retention(home, pictures_days=None, embeddings_days=20)
    of_second = min((home / "images" / SECOND / "line").glob("good-*"))
    asked = [
        ask(home, image) for image in (of_second, home / "images" / SECOND / GOOD, home / "images" / FIRST / DEFECT)
    ]
    file = home / NIGHTS / FIRST / name
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(damage(before or b""))
    with pytest.raises(
        DeletionsFailedError, match=rf"every night, retraining and detector, got 1 where that fails: .*/{FIRST}"
    ):
        tidy(home, settings)
    assert not {f"line/{of_second.name}", GOOD, DEFECT} & listed(home, SECOND)
    is_begun = (home / NIGHTS / FIRST / ".redacting/plan.json").exists()  # such a night is left alone
    assert ("embeddings.faiss" in names(home, FIRST)) == is_begun
    if before is None:
        file.unlink()
    elif name != "embeddings.faiss":  # that one was too old, and went
        file.write_bytes(before)
    for _ in range(2):  # on the first day one may wait for another that was begun in the night
        tidy(home, settings)
    assert store.upkeep.deletions.finished("line") == {request.key for request in asked}


def test_a_detector_that_cannot_be_looked_into_is_not_taken_for_one_without_the_image(
    home: Path, settings: Settings, store: Store
) -> None:
    set_retention(home, pictures_days=None, embeddings_days=None)
    request = ask(home, home / "images" / SECOND / GOOD)
    (training,) = (home / "mlartifacts").rglob("training.parquet")
    before = training.read_bytes()
    training.write_bytes(cut(before))
    with pytest.raises(DeletionsFailedError, match=r"got 1 where that fails: models:/nightglass-line/1: .* damaged"):
        tidy(home, settings)
    assert GOOD not in listed(home, SECOND)
    training.write_bytes(before)
    assert tidy(home, settings).deletions == 1
    assert store.upkeep.deletions.finished("line") == {request.key}
    assert find_text(home / "mlartifacts", "good-00005") == set()


def test_a_detector_whose_files_are_gone_shows_nothing_any_more(home: Path, settings: Settings, store: Store) -> None:
    set_retention(home, pictures_days=None, embeddings_days=None)
    request = ask(home, home / "images" / SECOND / GOOD)
    shutil.rmtree(home / "mlartifacts")
    assert tidy(home, settings).deletions == 1
    assert store.upkeep.deletions.finished("line") == {request.key}


def test_a_detector_that_may_not_be_read_is_not_taken_for_gone(
    home: Path, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_retention(home, pictures_days=None, embeddings_days=None)
    ask(home, home / "images" / SECOND / GOOD)
    with monkeypatch.context() as patch:
        # Whoever runs the tests may be one who may read everything.
        refuse = PermissionError(errno.EACCES, "Permission denied")
        patch.setattr(version_files, "_download", Mock(side_effect=refuse))
        with pytest.raises(DeletionsFailedError, match="got 1 where that fails: models:/nightglass-line/1"):
            tidy(home, settings)
    assert tidy(home, settings).deletions == 1


def test_a_night_in_work_that_may_show_it_as_a_neighbour_is_waited_for(
    home: Path, collection: Collection, settings: Settings, store: Store
) -> None:
    top = json.loads((home / NIGHTS / FIRST / "top_anomalies.json").read_text())["top_anomalies"]
    name = top[0]["neighbors"][0]["path"]
    request = ask(home, home / "good" / name)
    with closing(sqlite3.connect(home / "nightglass.db")) as database, database:
        database.execute("INSERT INTO nights_in_work VALUES ('line', ?, '2999-01-01T00:00:00.000000Z')", (FIRST,))
    waiting = forget_image(collection, settings, request)
    assert waiting.waiting == [f"{FIRST}: a run works on it, or died less than a day ago"]
    assert name in (home / NIGHTS / FIRST / "report.html").read_text()
    assert forget_image(collection, settings, request, is_idle=lambda: True).finished_at
    assert name not in (home / NIGHTS / FIRST / "report.html").read_text()


def test_an_image_without_its_own_file_goes_with_it_or_not_at_all(
    home: Path, collection: Collection, settings: Settings, tmp_path: Path
) -> None:
    image = home / "images" / FIRST / DEFECT
    plain = ask(home, image)
    with_original = plain.model_copy(update={"is_original_deleted": True})
    assert forget_image(collection, settings, plain).finished_at
    with pytest.raises(InputError, match="expected --original with the first deletion of an image, got one that was"):
        forget_image(collection, settings, DeletionRequest.model_validate(with_original.model_dump()))
    assert image.exists()


def test_one_without_its_own_file_is_part_of_one_with_it(
    home: Path, collection: Collection, settings: Settings, store: Store, tmp_path: Path
) -> None:
    inside = home / "images" / FIRST / "line"
    image = home / "images" / FIRST / DEFECT
    request = ask(home, image, is_original_deleted=True)
    plain = DeletionRequest.model_validate(request.model_dump() | {"is_original_deleted": False})
    with refused(inside, tmp_path / "elsewhere"):
        for asked in (request, plain):
            with pytest.raises(InputError, match="got 1 where that fails"):
                forget_image(collection, settings, asked)
    done = forget_image(collection, settings, plain)
    assert (done.request.key, done.finished_at is not None, image.exists()) == (request.key, True, False)


def test_files_that_retention_no_longer_knows_are_told(
    home: Path, settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    set_retention(home, pictures_days=None, embeddings_days=20, scores_days=30)
    tidy(home, settings)
    ask(home, home / "images" / FIRST / DEFECT, is_original_deleted=True)
    with caplog.at_level("WARNING", logger="nightglass"):
        tidy(home, settings)
    assert f"an own file of this one may be left there ({FIRST})" in caplog.text


def test_a_damaged_night_stops_the_retention_of_no_other(home: Path, settings: Settings, store: Store) -> None:
    set_retention(home, pictures_days=30, embeddings_days=20, keep_judged=False)
    file = home / NIGHTS / FIRST / "assessment.json"
    before = file.read_bytes()
    file.write_bytes(cut(before))
    with pytest.raises(InputError, match=rf"remove what is too old, got 1 where that fails, .* pictures: .*{FIRST}"):
        tidy(home, settings)
    assert "embeddings.faiss" not in names(home, FIRST)  # comes after them
    file.write_bytes(before)
    assert [(each.night, each.kind) for each in tidy(home, settings).removed] == [(FIRST, "pictures")]
    assert "The pictures of this night were removed" in (home / NIGHTS / FIRST / "report.html").read_text()


def test_a_damaged_snapshot_of_a_retraining_is_told_and_nothing_taken_for_done(
    home: Path, settings: Settings, store: Store
) -> None:
    set_retention(home, pictures_days=None, embeddings_days=20)
    request = ask(home, home / "images" / SECOND / GOOD)
    snapshot = home / "retraining/line/2026-03-03T00-00/training.parquet"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(b"PAR1 and no more of it")
    with pytest.raises(
        DeletionsFailedError, match=r"got 1 where that fails: .*/retraining/line/.* expected a Parquet file"
    ):
        tidy(home, settings)
    assert "embeddings.faiss" not in names(home, FIRST)
    snapshot.unlink()
    assert tidy(home, settings).deletions == 1
    assert store.upkeep.deletions.finished("line") == {request.key}
