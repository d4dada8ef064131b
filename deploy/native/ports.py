"""A port of 127.0.0.1 for each port of a container; a home keeps its ports from start to start."""

import json
import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from deploy.native.errors import StackError

#: SeaweedFS's servers listen for each other at their port and this much higher.
GRPC_OFFSET = 10_000
#: Neither these nor their neighbours are among those that Linux gives to connections, 32768 and above.
_DRAWN_FROM = range(20_000, 22_768)


class Ports:
    """Which port of this machine stands for which port of a process.

    SeaweedFS remembers its own addresses on its disk, so that they must be the same the next time.

    Args:
        file: Where the ports are kept; those in it that are in use are drawn anew.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._published = file, set[int]()
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self._ports: dict[str, int] = {key: port for key, port in kept.items() if is_free(port)}

    def of(self, process: str, port: int) -> int:
        """Return the port that stands for ``port`` of the container that ``process`` would have."""
        key = f"{process}:{port}"
        if key not in self._ports:
            self._ports[key] = self._draw()
            self._file.write_text(json.dumps(self._ports, indent=1), encoding="utf-8")
        return self._ports[key]

    def fix(self, process: str, port: int, outside: int) -> None:
        """Let a port of a container be the one that the file publishes it as."""
        self._ports[f"{process}:{port}"] = outside
        self._published.add(outside)

    def is_published(self, port: int) -> bool:
        """Tell whether the file publishes something as this port."""
        return port in self._published

    def _draw(self) -> int:
        taken = set(self._ports.values())
        for port in random.sample(_DRAWN_FROM, 500):
            if port not in taken and is_free(port):
                return port
        raise StackError("expected a free port between 20000 and 22767, got none")


def is_free(port: int) -> bool:
    """Tell whether a port and its neighbour for gRPC can be listened on at 127.0.0.1."""
    with ExitStack() as held, suppress(OSError):
        for number in (port, port + GRPC_OFFSET):
            server = held.enter_context(socket.socket())
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", number))
        return True
    return False
