import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nightglass.alerting import Alert, Link, deliver

SECRET = "s3cr3t-token"
ALERT = Alert(
    kind="retrain",
    key="decision/cells/2026-03-02",
    subject="cells 2026-03-02",
    headline="retrain",
    sentence="12 of 200 images are anomalous <b>&amp; läufer/😀.jpg",
    links=(Link("Night", "http://airflow/night"),),
)


class Receiver(BaseHTTPRequestHandler):
    received: list[dict[str, Any]]
    status = 200
    hangs: threading.Event | None = None

    def do_POST(self) -> None:
        if self.hangs:
            self.hangs.wait(60)
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[tuple[type[Receiver], int]]:
    handler = type("Handler", (Receiver,), {"received": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, server.server_port
    if handler.hangs:
        handler.hangs.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_everyone_is_told(receiver: tuple[type[Receiver], int]) -> None:
    handler, port = receiver
    urls = [f"json://127.0.0.1:{port}/one", f"json://ana:{SECRET}@127.0.0.1:{port}/two"]
    assert deliver(urls, ALERT) == []
    body = f"{ALERT.sentence}\n\nNight: http://airflow/night"
    assert [(message["title"], message["message"]) for message in handler.received] == [
        ("Nightglass: cells 2026-03-02: retrain", body)
    ] * 2


def test_what_fails_is_one_line_without_secrets_and_the_rest_is_told(
    receiver: tuple[type[Receiver], int],
    closed_port: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler, port = receiver
    urls = [
        f"json://ana:{SECRET}@127.0.0.1:{closed_port}/{SECRET}?+X-Token={SECRET}",
        f"nosuch://{SECRET}",
        SECRET,
        f"json://127.0.0.1:{port}/{SECRET}",
    ]
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="nightglass"):
        failures = deliver(urls, ALERT)
    assert [failure.split(" was not")[0] for failure in failures] == [
        "alert 1 of 4 (json://***)",
        "alert 2 of 4 (nosuch://***)",
        "alert 3 of 4 (***)",
    ]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == failures
    assert not any("\n" in failure for failure in failures)
    assert len(handler.received) == 1
    output = capfd.readouterr()
    assert SECRET not in caplog.text + output.out + output.err


def test_a_service_that_refuses_is_a_failure(receiver: tuple[type[Receiver], int]) -> None:
    handler, port = receiver
    handler.status = 500
    (failure,) = deliver([f"json://127.0.0.1:{port}"], ALERT)
    assert failure == "alert 1 of 1 (json://***) was not delivered: the service cannot be reached or refused it"


def test_whoever_does_not_answer_holds_nobody_up(receiver: tuple[type[Receiver], int]) -> None:
    handler, port = receiver
    handler.hangs = threading.Event()
    failures = deliver([f"json://127.0.0.1:{port}/?rto=250", "nosuch://x"], ALERT, seconds=15)
    assert [failure.partition("delivered: ")[2] for failure in failures] == [
        "no answer within 15 s",
        "expected an Apprise URL such as mailto:// or slack://",
    ]


def test_nobody_to_tell_is_no_failure() -> None:
    assert deliver([], ALERT) == []
