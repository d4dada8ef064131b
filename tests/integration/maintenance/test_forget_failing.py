"""Deletions that cannot be carried out as things are: all else goes on, and nothing is taken for done that is not."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nightglass.maintenance.deletion_records import DeletionRequest
from nightglass.maintenance.forget import DeletionsFailedError
from nightglass.maintenance.journal import Journal
from nightglass.settings import Settings
from nightglass.storage import open_folder
from nightglass.store import Store
from tests.integration.maintenance.conftest import COPY, DEFECT, FIRST, GOOD, SECOND
from tests.integration.maintenance.test_tidy import NIGHTS, names, set_retention, tidy

pytestmark = pytest.mark.integration


def ask(home: Path, image: Path, *, is_original_deleted: bool = False) -> DeletionRequest:
    """Note a request that maintenance goes on with."""
    request = DeletionRequest(
        collection="line",
        digest=hashlib.sha256(image.read_bytes()).hexdigest(),
        is_original_deleted=is_original_deleted,
        by="ana",
        reason="she asked",
        asked_at="2026-03-09T10:00:00.000000Z",
    )
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
        pytest.param("summary.json", cut, id="summary cut off"),
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
    with pytest.raises(DeletionsFailedError, match=rf"out of every night, got 1 where that fails: .*/{FIRST}"):
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
