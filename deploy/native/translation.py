"""Make what stands in the file about containers true of this machine: hosts, ports and paths, each or an error."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from deploy.native.errors import StackError
from deploy.native.ports import Ports

LOOPBACK = "127.0.0.1"
_EVERYWHERE = {"0.0.0.0", LOOPBACK, "localhost"}  # noqa: S104  read in the file, never listened on
#: Schemes whose first part is a bucket, not a host.
_BUCKETS = ("s3",)
#: Paths that are the same in every container and here.
_COMMON = ("/dev/null",)
_PIECES = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+]*)://(?P<login>[^@/\s'\"]*@)?(?P<host>[\w.-]+)(?::(?P<port>\d+))?(?P<rest>[^\s'\",]*)"
    r"|(?<![\w.:-])(?P<name>[a-z][\w-]*|\d+\.\d+\.\d+\.\d+):(?P<number>\d+|\*)(?![\w:])"
    r"|(?<==):(?P<own>\d+)"
    r"|(?:(?<=port[= ])|(?<=\s-p\s))(?P<flag>\d+)"
    r"|(?<![\w.:/$}-])(?P<path>/(?!/)[\w@-][\w.@-]*(?:/[\w.@-]+)*)/?"
)
_HOST_FLAG = re.compile(r"(?P<flag>-(?:[\w.-]*[.-])?(?<!auth-)(?:ip|bind|host)[= ])(?P<host>[\w.-]+)")


class Translator:
    """Translates the texts of one process.

    Args:
        process: Name of the process, such as ``worker-1``; its own ports go by it.
        hosts: Names of all services; each is a host in the compose file.
        folders: What each folder of the container is here; the longest that fits counts.
        ports: The ports of this machine.
    """

    def __init__(self, process: str, hosts: Collection[str], folders: Mapping[str, Path], ports: Ports) -> None:
        self._process, self._hosts, self._ports = process, set(hosts), ports
        self._folders = dict(sorted(folders.items(), key=lambda item: -len(item[0])))
        self.own: set[int] = set()
        self.asked: set[tuple[str, int]] = set()

    def words(self, words: Collection[str]) -> list[str]:
        """Return a command line as it is here."""
        translated: list[str] = []
        before = ""
        for word in words:
            if re.fullmatch(r"-(?:[\w.-]*[.-])?port", before) and word.isdigit():
                translated.append(str(self.own_port(int(word))))
            elif re.fullmatch(r"-(?:[\w.-]*[.-])?(?:ip|bind|host|h)", before):
                translated.append(self.host(word))
            else:
                translated.append(self.text(word))
            before = word
        return translated

    def variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return environment variables as they are here; X_PORT belongs to the host in X_HOST."""
        translated = {}
        for name, value in variables.items():
            if name.endswith("_HOST"):
                translated[name] = self.host(value)
            elif name.endswith("_PORT") and value.isdigit():
                host = variables.get(name.removesuffix("PORT") + "HOST", LOOPBACK)
                translated[name] = str(self._port(host, int(value)))
            else:
                translated[name] = self.text(value)
        return translated

    def text(self, text: str, *, is_file: bool = False) -> str:
        """Return a text as it is here.

        Args:
            text: A word of a command line, a value, or a whole file.
            is_file: Of a configuration file, where a path that no folder is known for may be one of an address.

        Raises:
            StackError: It names a host or a path that is nowhere in the compose file.
        """
        text = _HOST_FLAG.sub(lambda found: found["flag"] + self.host(found["host"]), text)
        return _PIECES.sub(lambda found: self._piece(found, is_file), text)

    def host(self, host: str) -> str:
        """Return 127.0.0.1 for a host of the compose file."""
        if host not in self._hosts | _EVERYWHERE:
            raise StackError(f"{self._process}: expected a host of docker-compose.yaml, got {host}")
        return LOOPBACK

    def _piece(self, found: re.Match[str], is_file: bool) -> str:
        if found["scheme"]:
            if found["scheme"] in _BUCKETS:
                return found[0]
            self.host(found["host"])
            port = f":{self._port(found['host'], int(found['port']))}" if found["port"] else ""
            return f"{found['scheme']}://{found['login'] or ''}{LOOPBACK}{port}{found['rest']}"
        if found["name"]:
            self.host(found["name"])
            number = found["number"]
            return f"{LOOPBACK}:{number if number == '*' else self._port(found['name'], int(number))}"
        if found["own"] or found["flag"]:
            prefix = f"{LOOPBACK}:" if found["own"] else ""
            return f"{prefix}{self.own_port(int(found['own'] or found['flag']))}"
        return self._path(found[0], is_file)

    def own_port(self, port: int) -> int:
        """Return the port of this machine for one that the process itself listens on."""
        self.own.add(port)
        return self._ports.of(self._process, port)

    def _port(self, host: str, port: int) -> int:
        if host in _EVERYWHERE:
            is_published = port not in self.own and self._ports.is_published(port)
            return port if is_published else self.own_port(port)
        self.asked.add((host, port))
        return self._ports.of(host, port)

    def _path(self, path: str, is_file: bool) -> str:
        for folder, here in self._folders.items():
            if path == folder or path.startswith(folder.rstrip("/") + "/"):
                return str(here) + path[len(folder.rstrip("/")) :]
        if is_file or path in _COMMON:
            return path
        raise StackError(f"{self._process}: expected a path below its volumes, tmpfs or image, got {path}")
