"""Nights and files on a store that refuses, is overloaded, hangs, and cuts connections."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from nightglass import storage
from nightglass.errors import AccessDeniedError, StorageError
from nightglass.storage import Folder, open_folder
from tests.faults.comparison import Left, assert_same
from tests.faults.s3_proxy import S3Proxy
from tests.integration.faults.conftest import Line

pytestmark = pytest.mark.integration
# A night holds few numbers; the start of one would do for an error of the wrong kind.
FOLDER = "nights/20240301"


@pytest.fixture
def bucket(s3_server: Any) -> str:
    return str(s3_server.make_bucket("weather"))


@pytest.fixture
def direct(s3_server: Any, bucket: str) -> Folder:
    """The folder by the way on which the weather is good."""
    return open_folder(f"s3://{bucket}/{FOLDER}", s3_server.storage_options)


@pytest.fixture
def folder(s3_server: Any, bucket: str, proxy: S3Proxy) -> Folder:
    """The folder through the proxy, with little patience."""
    options = s3_server.storage_options | {"client_kwargs": {"endpoint_url": proxy.endpoint}}
    little = {"connect_timeout": 1, "read_timeout": 1, "retries": {"mode": "standard", "max_attempts": 1}}
    return open_folder(f"s3://{bucket}/{FOLDER}", options | {"config_kwargs": little})


@pytest.mark.parametrize("weather", [{"refuses": True}, {"overloaded": True}, {"silent": True}])
def test_a_store_that_does_not_answer_is_one_line_and_may_heal(
    folder: Folder, direct: Folder, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch, weather: dict[str, object]
) -> None:
    monkeypatch.setattr(storage, "_UPLOAD_SECONDS", 3)
    direct.write_bytes("a", b"old")
    with proxy.weather(**weather):
        for task in (lambda: folder.write_bytes("a", b"new"), lambda: folder.read_bytes("a"), folder.names):
            with pytest.raises(StorageError) as caught:
                task()
            assert caught.value.can_heal, caught.value
            assert not isinstance(caught.value, AccessDeniedError)
            assert "\n" not in str(caught.value)
    assert direct.read_bytes("a") == b"old"
    folder.write_bytes("a", b"new")
    assert direct.read_bytes("a") == b"new"


def test_a_store_that_is_overloaded_for_a_moment_is_asked_again(
    s3_server: Any, bucket: str, direct: Folder, proxy: S3Proxy
) -> None:
    options = s3_server.storage_options | {"client_kwargs": {"endpoint_url": proxy.endpoint}}
    patient = open_folder(f"s3://{bucket}/{FOLDER}", options)
    writer = threading.Thread(target=lambda: patient.write_bytes("a", b"new"))
    with proxy.weather(overloaded=True):
        writer.start()
        while len(proxy.requests) < 2:
            time.sleep(0.01)
    writer.join(60)
    assert direct.read_bytes("a") == b"new"


def test_a_connection_has_time_limits(s3_server: Any, bucket: str) -> None:
    fs = open_folder(f"s3://{bucket}", s3_server.storage_options).fs
    assert 0 < fs.config_kwargs["connect_timeout"] <= 10
    assert 0 < fs.config_kwargs["read_timeout"] <= 30


def test_an_upload_that_is_cut_leaves_the_old_object(folder: Folder, direct: Folder, proxy: S3Proxy) -> None:
    old, new = os.urandom(500_000), os.urandom(1_000_000)
    direct.write_bytes("scores.parquet", old)
    with (
        proxy.weather(cut_every=1, cut_after=300_000, cuts="upload"),
        pytest.raises(StorageError, match=r"scores\.parquet"),
    ):
        folder.write_bytes("scores.parquet", new)
    assert proxy.cut
    assert direct.read_bytes("scores.parquet") == old
    assert direct.names() == ["scores.parquet"]


def test_an_upload_in_parts_that_is_cut_leaves_no_part(
    folder: Folder, direct: Folder, bucket: str, proxy: S3Proxy, s3_server: Any
) -> None:
    with (
        proxy.weather(cut_every=1, cut_after=3_000_000, cuts="upload"),
        pytest.raises(StorageError, match=r"embeddings\.faiss"),
        folder.writing("embeddings.faiss") as file,
    ):
        file.write_bytes(os.urandom(1 << 20) * 110)  # more than two parts of 50 MiB
    assert proxy.cut
    assert direct.names() == []
    uploads = s3_server.file_system().call_s3("list_multipart_uploads", Bucket=bucket)
    assert not uploads.get("Uploads"), uploads


def test_an_upload_in_parts_survives_a_connection_that_is_cut_once(
    folder: Folder, direct: Folder, proxy: S3Proxy
) -> None:
    content = os.urandom(1 << 20) * 110
    with proxy.weather(cut_every=3, cut_after=3_000_000, cuts="upload"):
        folder.write_bytes("embeddings.faiss", content)
    assert proxy.cut
    assert direct.read_bytes("embeddings.faiss") == content


def test_a_download_that_is_cut_is_an_error_or_whole(folder: Folder, direct: Folder, proxy: S3Proxy) -> None:
    content = os.urandom(400_000)
    direct.write_bytes("image.png", content)
    with proxy.weather(cut_every=1, cut_after=100_000, cuts="download"):
        for read in (lambda: folder.read_bytes("image.png"), lambda: folder.read_start("image.png", 1 << 20)):
            with pytest.raises(StorageError):
                read()
    with proxy.weather(cut_every=2, cut_after=100_000, cuts="download"):
        for _ in range(4):
            assert folder.read_bytes("image.png") == content
            assert folder.read_start("image.png", 1 << 20) == content
    assert proxy.cut


def tried_again(step: Callable[[], Any], failures: list[str]) -> Any:
    """Run a step as Airflow does: what may heal is tried again, three times."""
    for _ in range(3):
        try:
            return step()
        except StorageError as error:
            if not error.can_heal:
                raise
            failures.append(str(error))
    return step()


@pytest.mark.parametrize(
    ("name", "weather"),
    [
        ("cut-downloads", {"cut_every": 2, "cut_after": 9_000, "cuts": "download"}),
        ("cut-uploads", {"cut_every": 2, "cut_after": 9_000, "cuts": "upload"}),
        ("slow", {"bytes_per_second": 400_000.0}),
    ],
)
def test_a_night_in_bad_weather_is_an_undisturbed_one(
    make_line: Callable[..., Line], proxy: S3Proxy, undisturbed: Left, name: str, weather: dict[str, object]
) -> None:
    line = make_line(name).through(proxy.endpoint, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})
    failures: list[str] = []
    with proxy.weather(**weather):
        plan = tried_again(line.list_images, failures)
        for shard in tried_again(lambda: line.validate(plan), failures):
            tried_again(lambda shard=shard: line.score(plan, shard), failures)
        tried_again(lambda: line.assess(plan), failures)
        tried_again(lambda: line.publish(plan), failures)
    assert_same(make_line(name).left(), undisturbed)
    assert proxy.cut or name == "slow"
