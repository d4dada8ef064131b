"""A webhook on this machine that keeps what it is told, and when; Apprise's ``json://`` addresses lead to it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Told:
    """One message and when it arrived, in seconds of `time.monotonic`."""

    at: float
    title: str
    message: str


@dataclass
class Webhook:
    """What arrived at ``url``, oldest first."""

    url: str
    told: list[Told] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def wait_for(self, words: str, after: float, seconds: float) -> Told | None:
        """Return the first message since ``after`` with ``words`` in its title; None: none came within ``seconds``."""

        def find() -> Told | None:
            return next((told for told in self.told if told.at >= after and words in told.title), None)

        with self.arrived:
            self.arrived.wait_for(lambda: find() is not None, seconds)
            return find()


@contextmanager
def listening_webhook() -> Iterator[Webhook]:
    """Listen on a free port of 127.0.0.1 for the block."""
    webhook = Webhook("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _MOST_BYTES)))
            with webhook.arrived:
                webhook.told.append(Told(time.monotonic(), str(body.get("title")), str(body.get("message"))))
                webhook.arrived.notify_all()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing; the drill tells what arrived."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        webhook.url = f"json://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()
