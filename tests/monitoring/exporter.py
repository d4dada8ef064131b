"""A stand-in for statsd_exporter, which no package brings: what it does with Airflow's lines and mapping.yaml.

It knows the part of the exporter's documentation that deploy/statsd/mapping.yaml uses, and refuses any other: tags in
InfluxDB's way become labels, a name without a mapping has its dots made underscores, milliseconds become seconds,
timers become summaries or histograms. Nothing expires. Quantiles are exact and over all that was sent.
"""

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

_KNOWN = {"match", "name", "help", "ttl", "observer_type", "histogram_options"}
_TYPES = {"c": "counter", "g": "gauge", "ms": "observer"}
Labels = tuple[tuple[str, str], ...]


@dataclass
class Exporter:
    """The metrics that came in, by name and labels."""

    defaults: Mapping[str, Any]
    mappings: Mapping[str, Mapping[str, Any]]
    values: dict[str, dict[Labels, float]] = field(default_factory=lambda: defaultdict(dict))
    observed: dict[str, dict[Labels, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    options: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    udp_port: int = 0
    http_port: int = 0

    @classmethod
    def read(cls, file: Path) -> "Exporter":
        """Read a mapping file.

        Raises:
            ValueError: It uses what this stand-in does not know.
        """
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        for mapping in read["mappings"]:
            if set(mapping) - _KNOWN or "*" in mapping["match"]:
                raise ValueError(f"{file}: expected mappings of {sorted(_KNOWN)} without *, got {mapping}")
        return cls(read["defaults"], {mapping["match"]: mapping for mapping in read["mappings"]})

    def take(self, packet: bytes) -> None:
        """Take a datagram: a line or several."""
        for line in packet.decode("ascii").splitlines():
            with self.lock:
                self.lines.append(line)
                self._take_line(line)

    def _take_line(self, line: str) -> None:
        full_name, _, sample = line.partition(":")
        stat, *tags = full_name.split(",")
        text, kind = sample.split("|")[:2]
        mapping = self.mappings.get(stat, {})
        name = mapping.get("name") or _escape(stat)
        labels = tuple(sorted((_escape(key), value) for key, _, value in (tag.partition("=") for tag in tags)))
        if self.kinds.setdefault(name, _TYPES[kind]) != _TYPES[kind]:
            raise ValueError(f"{name}: expected a {self.kinds[name]}, got {line}")
        if kind == "ms":
            self.options[name] = {**self.defaults, **mapping}
            self.observed[name][labels].append(float(text) / 1000)
        elif kind == "c" or text[0] in "+-":
            self.values[name][labels] = self.values[name].get(labels, 0.0) + float(text)
        else:
            self.values[name][labels] = float(text)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        with self.lock:
            return "".join(f"{line}\n" for name in sorted(self.kinds) for line in self._tell(name))

    def _tell(self, name: str) -> Iterator[str]:
        if self.kinds[name] != "observer":
            yield f"# TYPE {name} {self.kinds[name]}"
            for labels, value in self.values[name].items():
                yield f"{name}{_braces(labels)} {value!r}"
            return
        options = self.options[name]
        yield f"# TYPE {name} {options['observer_type']}"
        for labels, seen in self.observed[name].items():
            if options["observer_type"] == "histogram":
                for limit in (*options["histogram_options"]["buckets"], "+Inf"):
                    count = sum(value <= float(limit) for value in seen)
                    yield f"{name}_bucket{_braces((*labels, ('le', str(limit))))} {count}"
            else:
                for quantile in (entry["quantile"] for entry in options["summary_options"]["quantiles"]):
                    value = sorted(seen)[min(len(seen) - 1, int(quantile * len(seen)))]
                    yield f"{name}{_braces((*labels, ('quantile', str(quantile))))} {value!r}"
            yield f"{name}_sum{_braces(labels)} {sum(seen)!r}"
            yield f"{name}_count{_braces(labels)} {len(seen)}"


def _escape(name: str) -> str:
    return "".join(character if character.isalnum() and character.isascii() else "_" for character in name)


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels) + "}" if labels else ""


@contextmanager
def running_exporter(mapping: Path, udp_port: int = 0) -> Iterator[Exporter]:
    """Listen on 127.0.0.1 for the block, for StatsD's lines and for Prometheus."""
    exporter = Exporter.read(mapping)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exporter.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def listen() -> None:
        while packet := receiver.recv(65_536):
            exporter.take(packet)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", udp_port))
        exporter.udp_port = receiver.getsockname()[1]
        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        exporter.http_port = server.server_address[1]
        threads = [threading.Thread(target=run, daemon=True) for run in (listen, server.serve_forever)]
        for thread in threads:
            thread.start()
        try:
            yield exporter
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"", ("127.0.0.1", exporter.udp_port))  # ends the thread that listens
            server.shutdown()
            server.server_close()
            threads[0].join(timeout=10)
