"""The short way to objects: the same bytes as by s3fs with one request, and s3fs where it does not lead there."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nightglass.errors import AccessDeniedError, InputError
from nightglass.storage import Folder, open_folder
from tests.faults.s3_proxy import S3Proxy
from tests.integration.conftest import S3Server

pytestmark = pytest.mark.integration
NAMES = [
    "a.png",
    "with space+plus.png",
    "100%25 ä日本.png",
    "q?x=1&y=#1.png",
    "~tilde'(1)!*.png",
    "a//b.png",
    "a=b;c,d.png",
]


@pytest.fixture
def proxy(s3_server: S3Server):
    with S3Proxy(s3_server.endpoint) as proxy:
        yield proxy


def through(proxy: S3Proxy, s3_server: S3Server, bucket: str, **options: object) -> Folder:
    endpoint = {"client_kwargs": {"endpoint_url": proxy.endpoint}}
    return open_folder(f"s3://{bucket}/images", s3_server.storage_options | endpoint | options)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_one_request(s3_server: S3Server, proxy: S3Proxy, name: str) -> None:
    bucket, content = s3_server.make_bucket(), secrets.token_bytes(50_000)
    folder = through(proxy, s3_server, bucket)
    folder.fs.pipe_file(folder.path(name), content)
    proxy.requests.clear()
    assert folder.read_start(name, 60_000) == content
    assert folder.read_start(name, 49_999) == content[:49_999]
    assert len(proxy.requests) == 2, proxy.requests


def test_many_threads_share_kept_connections(s3_server: S3Server, proxy: S3Proxy) -> None:
    bucket = s3_server.make_bucket()
    folder = through(proxy, s3_server, bucket)
    contents = {f"{number}.png": secrets.token_bytes(2_000) for number in range(200)}
    folder.fs.pipe({folder.path(name): content for name, content in contents.items()})
    before = proxy._connections
    with ThreadPoolExecutor(16) as pool:
        read = dict(zip(contents, pool.map(lambda name: folder.read_start(name, 5_000), contents), strict=True))
    assert read == contents
    assert proxy._connections - before <= 16


def test_a_missing_object_is_told_and_the_way_stays(s3_server: S3Server, proxy: S3Proxy) -> None:
    folder = through(proxy, s3_server, s3_server.make_bucket())
    folder.write_bytes("a.png", b"there")
    with pytest.raises(InputError, match="got nothing there"):
        folder.read_start("gone.png", 10)
    folder.write_bytes("empty.png", b"")
    assert folder.read_start("empty.png", 10) == b""
    proxy.requests.clear()
    assert folder.read_start("a.png", 10) == b"there"
    assert len(proxy.requests) == 1


def test_a_connection_that_is_cut_is_asked_of_s3fs_again(s3_server: S3Server, proxy: S3Proxy) -> None:
    folder = through(proxy, s3_server, s3_server.make_bucket())
    content = secrets.token_bytes(300_000)
    folder.write_bytes("a.png", content)
    assert folder.read_start("a.png", 1 << 20) == content
    proxy._connections = 1  # the next one, of the short way, is cut
    with proxy.weather(cut_every=2, cut_after=100_000, cuts="download"):
        assert folder.read_start("a.png", 1 << 20) == content
    assert proxy.cut == 1
    proxy.requests.clear()
    assert folder.read_start("a.png", 1 << 20) == content
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("wrong", [{"key": "nobody"}, {"secret": "another"}])
def test_a_wrong_key_is_denied(s3_server: S3Server, proxy: S3Proxy, wrong: dict[str, str]) -> None:
    bucket = s3_server.make_bucket()
    through(proxy, s3_server, bucket).write_bytes("a.png", b"secret")
    with pytest.raises(AccessDeniedError, match="access denied"):
        through(proxy, s3_server, bucket, **wrong).read_start("a.png", 10)


def test_keys_of_the_environment_are_used(s3_server: S3Server, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3_server.make_bucket()
    through(proxy, s3_server, bucket).write_bytes("a.png", b"by its environment")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    folder = open_folder(f"s3://{bucket}/images")
    proxy.requests.clear()
    assert folder.read_start("a.png", 100) == b"by its environment"
    assert len(proxy.requests) == 1


def test_a_store_that_refuses_the_short_way_is_read_by_s3fs_alone(
    s3_server: S3Server, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a store does that wants the bucket in the host's name."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    asked: list[str] = []
    folder = through(proxy, s3_server, s3_server.make_bucket())
    folder.write_bytes("a.png", b"there")
    assert folder.read_start("a.png", 10) == b"there"
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(folder.fs._way, "_endpoint", f"http://127.0.0.1:{server.server_port}")
        for _ in range(3):
            assert folder.read_start("a.png", 10) == b"there"
        server.shutdown()
    assert len(asked) == 1


@pytest.mark.parametrize(
    "options",
    [{"requester_pays": True}, {"s3_additional_kwargs": {"ExpectedBucketOwner": "7"}}, {"version_aware": True}],
)
def test_options_that_the_short_way_does_not_know_are_left_to_s3fs(
    s3_server: S3Server, proxy: S3Proxy, options: dict[str, object]
) -> None:
    assert through(proxy, s3_server, "b", **options).fs._find_way() is None
    assert through(proxy, s3_server, "b").fs._find_way() is not None
