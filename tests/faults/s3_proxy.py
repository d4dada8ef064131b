"""A TCP proxy before an S3 server, in which the weather can be made bad: refusing, overloaded, slow, cutting, silent.

It passes bytes on as they are (a signature covers the host that the client asked for, which is the proxy's), and
looks at them only to find the beginning of a request.
"""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlsplit

_PIECE = 16 * 1024
_REQUEST = re.compile(rb"(?:GET|PUT|POST|HEAD|DELETE) /\S* HTTP/1\.1\r\n")
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_OVERLOADED = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SLOW_DOWN), _SLOW_DOWN)
)


@dataclass(frozen=True)
class Weather:
    """What becomes of connections.

    Attributes:
        refuses: None is taken, and those there are end.
        overloaded: Every request is answered with 503.
        silent: Requests are taken and never answered.
        bytes_per_second: At most so many, each way; None: as fast as it goes.
        cut_every: Every so many-th connection is cut (with a reset); 0: none.
        cut_after: How many bytes of the kind that `cuts` names it may carry before.
        cuts: ``upload`` or ``download``.
        hold: Requests whose first line matches wait until the weather is another.
    """

    refuses: bool = False
    overloaded: bool = False
    silent: bool = False
    bytes_per_second: float | None = None
    cut_every: int = 0
    cut_after: int = 0
    cuts: str = "upload"
    hold: str = ""


@dataclass
class S3Proxy:
    """The proxy of one server; `endpoint` is its address, `requests` the first lines of what was asked."""

    target: str
    port: int = 0
    requests: list[str] = field(default_factory=list)
    cut: int = 0
    held: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._weather = Weather()
        self._changed = threading.Event()
        self._connections = 0
        self._live: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._set(Weather(refuses=True))

    @contextmanager
    def weather(self, **bad: object) -> Iterator[None]:
        """Make the weather bad for the block; see `Weather`."""
        self._set(replace(Weather(), **bad))  # type: ignore[arg-type]
        try:
            yield
        finally:
            self._set(Weather())

    def _set(self, weather: Weather) -> None:
        self._weather = weather
        self.held.clear()
        self._changed.set()  # who waited for better weather looks again
        self._changed = threading.Event()
        if weather.refuses and self._listener:
            _close(self._listener)
            self._listener = None
        if weather != Weather() and not weather.hold:
            self._drop_all()
        if not weather.refuses and self._listener is None:
            self._listen()

    def _drop_all(self) -> None:
        with self._lock:
            live, self._live = self._live, set()
        for connection in live:
            _reset(connection)

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._connections += 1
            threading.Thread(target=self._serve, args=(client, self._connections), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        address = urlsplit(self.target)
        try:
            server = socket.create_connection((address.hostname or "", address.port or 80), timeout=10)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        with self._lock:
            self._live |= {client, server}
        up = threading.Thread(target=self._pump, args=(client, server, number, "upload"), daemon=True)
        up.start()
        self._pump(server, client, number, "download")
        up.join()
        with self._lock:
            self._live -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, number: int, way: str) -> None:
        carried = 0
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if way == "upload" and not self._admit(piece, source):
                    break
                weather = self._weather
                carried += len(piece)
                is_cut = weather.cut_every and number % weather.cut_every == 0 and way == weather.cuts
                if is_cut and carried > weather.cut_after:
                    self.cut += 1
                    sink.sendall(piece[: len(piece) // 2])
                    _reset(source)
                    _reset(sink)
                    return
                if weather.bytes_per_second:
                    time.sleep(len(piece) / weather.bytes_per_second)
                sink.sendall(piece)
        for end in (source, sink):
            _close(end)

    def _admit(self, piece: bytes, client: socket.socket) -> bool:
        """Return whether a piece of a request is passed on; it may have to wait for that."""
        found = _REQUEST.match(piece)
        if found:
            self.requests.append(found[0].decode(errors="replace").strip())
        weather, changed = self._weather, self._changed
        if weather.overloaded:
            client.sendall(_OVERLOADED)
            client.settimeout(0.2)
            with suppress(OSError):  # what is not read would make the answer a reset
                while client.recv(_PIECE):
                    pass
            return False
        if weather.silent or (found and weather.hold and re.search(weather.hold, self.requests[-1])):
            self.held.set()
            changed.wait()
        return True


def _reset(connection: socket.socket) -> None:
    """End a connection as a router does that forgot it."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    _close(connection)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
