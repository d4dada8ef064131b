"""Bodies of requests: how much of one is read, before whom, and what all uploads together may hold."""

import asyncio

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from nightglass.pages import bodies
from nightglass.pages.app import create_app
from nightglass.pages.bodies import MOST_IMAGE_BYTES, BoundedBodies, HeldBytes, ImageBody
from nightglass.pages.rights import rights_of
from tests.unit.pages.conftest import People

VERDICTS = "/collections/cells/nights/2026-07-24/verdicts"
PREDICT = "/api/collections/cells/predict"


class Sent:
    """One request to the app, whose body comes piece by piece; counts what the app took of it."""

    def __init__(self, app, path, pieces, headers=()):
        self.app, self.path, self.pieces = app, path, iter(pieces)
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers]
        self.taken, self.answer = 0, []

    async def receive(self):
        piece = next(self.pieces, None)
        if piece is None:
            return {"type": "http.disconnect"}
        self.taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(self, message):
        self.answer.append(message)

    async def run(self):
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": self.path, "raw_path": self.path.encode(), "query_string": b"", "root_path": "",
            "headers": self.headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        await self.app(scope, self.receive, self.send)
        return self.answer[0]["status"]


def endless(size=65_536):
    while True:
        yield b"x" * size


@pytest.fixture
def app(home):
    return create_app(People().authenticate, lambda _: None)


ANA = [("X-Test-User", "ana"), ("X-Nightglass", "1")]


@pytest.mark.parametrize(
    ("path", "kind", "limit"), [(VERDICTS, "application/json", 16_384), (PREDICT, "image/png", MOST_IMAGE_BYTES)]
)
def test_a_body_without_a_length_ends_at_the_limit_of_its_route(app, path, kind, limit):
    sent = Sent(app, path, endless(), [*ANA, ("Content-Type", kind)])
    assert asyncio.run(sent.run()) == 413
    assert limit < sent.taken <= limit + 65_536


@pytest.mark.parametrize(("path", "kind"), [(VERDICTS, "application/json"), (PREDICT, "image/png")])
def test_of_a_body_that_says_it_is_too_large_nothing_is_read(app, path, kind):
    sent = Sent(app, path, endless(), [*ANA, ("Content-Type", kind), ("Content-Length", str(500_000_000))])
    assert asyncio.run(sent.run()) == 413
    assert sent.taken == 0


@pytest.mark.parametrize("length", ["x", "-1", "1e9", "9" * 5000, ""])
def test_a_length_that_is_none_is_no_way_in(app, length):
    sent = Sent(app, PREDICT, endless(), [*ANA, ("Content-Type", "image/png"), ("Content-Length", length)])
    assert asyncio.run(sent.run()) == 413
    assert sent.taken <= MOST_IMAGE_BYTES + 65_536


def test_nothing_of_an_image_is_read_before_the_guard_let_its_sender_in(app):
    for headers, status in (([], 401), ([("X-Test-User", "eve")], 403), ([*ANA, ("Content-Type", "text/plain")], 415)):
        sent = Sent(app, PREDICT, endless(), [("Content-Type", "image/png"), *headers][-3:])
        assert asyncio.run(sent.run()) == status
        assert sent.taken == 0


def test_uploads_hold_no_more_than_there_is_room_for_and_give_it_back(app):
    app.state.uploads = HeldBytes(100_000)
    sent = Sent(app, PREDICT, endless(), [*ANA, ("Content-Type", "image/png")])
    assert asyncio.run(sent.run()) == 503
    assert sent.taken <= 200_000
    assert dict(sent.answer[0]["headers"])[b"retry-after"] == b"5"
    assert app.state.uploads.take(100_000)


def test_an_upload_that_ends_early_is_told_and_given_back(app):
    app.state.uploads = HeldBytes(100_000)
    sent = Sent(app, PREDICT, [b"x" * 50_000], [*ANA, ("Content-Type", "image/png")])
    assert asyncio.run(sent.run()) == 400
    assert app.state.uploads.take(100_000)


def test_an_upload_that_never_ends_is_given_up(app, monkeypatch):
    monkeypatch.setattr(bodies, "_MOST_SECONDS", 0.05)

    class Slow(Sent):
        async def receive(self):
            await asyncio.sleep(0.02)
            return await super().receive()

    sent = Slow(app, PREDICT, endless(1), [*ANA, ("Content-Type", "image/png")])
    assert asyncio.run(sent.run()) == 408
    assert sent.taken < 10


def test_an_error_behind_the_upload_gives_its_room_back():
    app = FastAPI()
    app.add_middleware(BoundedBodies, limit=10)
    app.state.uploads = HeldBytes(1000)
    app.dependency_overrides[rights_of] = lambda: None

    @app.post("/broken")
    def fail(data: ImageBody) -> None:
        raise ValueError(len(data))

    client = TestClient(app, raise_server_exceptions=False)
    for _ in range(3):
        assert client.post("/broken", content=b"x" * 900, headers={"Content-Type": "image/png"}).status_code == 500
    assert app.state.uploads.take(1000)
