"""Services and disks: who answers, who hangs and who is told; a service that hangs holds up nobody for long."""

import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nightglass.pages import service_metrics
from nightglass.pages.service_metrics import Services
from tests.unit.pages.test_metrics import TOKEN, read


@pytest.fixture
def reader(client, monkeypatch):
    """Whoever brings the token."""
    monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", TOKEN)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client


@pytest.fixture
def mlflow(monkeypatch):
    """A server that answers as its ``status`` says."""

    class Page(BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NIGHTGLASS_TRACKING_URL", f"http://127.0.0.1:{server.server_address[1]}")
    yield Page
    server.shutdown()
    server.server_close()


def up(samples):
    return {name: samples[("nightglass_service_up", ("service", name))] for name in ("results", "nights", "mlflow")}


def test_every_service_answers(reader, store, mlflow):
    assert up(read(reader)) == {"results": 1, "nights": 1, "mlflow": 1}


def test_the_one_that_does_not_answer_is_told_and_hides_no_other(reader, store, mlflow, monkeypatch):
    mlflow.status = 500
    assert up(read(reader)) == {"results": 1, "nights": 1, "mlflow": 0}
    monkeypatch.setenv("NIGHTGLASS_TRACKING_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NIGHTGLASS_NIGHTS_URL", "s3://nowhere/nights")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    assert up(read(reader)) == {"results": 1, "nights": 0, "mlflow": 0}


def test_disks_are_told_of_this_machine_only(reader, home, store, settings, monkeypatch):
    (home / "nights").mkdir(parents=True)
    places = {
        labels for name, *labels in map(list, read(reader)) if name == "nightglass_disk_free_bytes" for labels in labels
    }
    assert places == {("place", "home"), ("place", "nights")}
    monkeypatch.setenv("NIGHTGLASS_NIGHTS_URL", "s3://nowhere/nights")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    samples = read(reader)
    free, size = (samples[(f"nightglass_disk_{what}_bytes", ("place", "home"))] for what in ("free", "size"))
    assert 0 < free < size
    assert ("nightglass_disk_free_bytes", ("place", "nights")) not in samples


def test_whoever_is_signed_in_is_told_nothing_of_services(ana, store):
    assert not [name for name, *_ in read(ana) if "service" in name or "disk" in name]


def test_a_service_that_hangs_is_asked_once_until_it_lets_go(monkeypatch):
    monkeypatch.setattr(service_metrics, "_PATIENCE_SECONDS", 0.2)
    services, let_go, asked = Services(), threading.Event(), []

    def hang():
        asked.append(1)
        let_go.wait(30)

    questions = {"nights": hang, "results": lambda: None}
    for _ in range(3):
        assert services.ask(questions) == {"nights": False, "results": True}
    assert len(asked) == 1
    let_go.set()
    deadline = time.monotonic() + 10
    while not services.ask(questions)["nights"]:
        assert time.monotonic() < deadline


def test_an_error_is_no_answer_and_is_not_kept(caplog):
    services = Services()

    def fail():
        raise ValueError("broken")

    with caplog.at_level(logging.WARNING, logger="nightglass"):
        assert services.ask({"nights": fail}) == {"nights": False}
    assert "broken" in caplog.text
    assert services.ask({"nights": lambda: None}) == {"nights": True}
