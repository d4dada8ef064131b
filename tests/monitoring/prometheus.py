"""A real Prometheus with the configuration of deploy/prometheus, at addresses of this machine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
Rows = dict[tuple[tuple[str, str], ...], float]


def find_tool(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; skip the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on this machine: apt-get install prometheus")
    return path


def write_configuration(folder: Path, targets: Mapping[str, str], token: str, interval: str = "1s") -> Path:
    """Write deploy's configuration with other addresses for its targets, and return the file.

    Args:
        folder: Where it goes, with the token in a file of its own.
        targets: The address that takes the place of each target; a job that has none is left out.
        token: What the pages' metrics are asked with.
        interval: How often is asked.
    """
    source = DEPLOY / "prometheus" / "prometheus.yaml"
    read: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    (folder / "token").write_text(token)
    read["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    read["rule_files"] = [str(source.parent / name) for name in read["rule_files"]]
    kept = []
    for job in read["scrape_configs"]:
        [static] = job["static_configs"]
        static["targets"] = [targets[target] for target in static["targets"] if target in targets]
        job.pop("scrape_interval", None)
        job.pop("scrape_timeout", None)
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "token")
        kept += [job] if static["targets"] else []
    read["scrape_configs"] = kept
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(read))
    return file


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    client: httpx.Client

    def query(self, expression: str) -> Rows:
        """Return what an expression gives now: each row's labels without the scrape's own, and its value."""
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        return {_own_labels(row["metric"]): float(row["value"][1]) for row in answer["data"]["result"]}

    def query_range(
        self, expression: str, seconds: float
    ) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
        """Return what an expression gave in the last seconds, a point a second."""
        now = time.time()
        parameters = {"query": expression, "start": now - seconds, "end": now, "step": 1}
        answer = self.client.get("/api/v1/query_range", params=parameters).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found = answer["data"]["result"]
        return {_own_labels(row["metric"]): [(at, float(value)) for at, value in row["values"]] for row in found}

    def wait_for(self, expression: str, is_right: Callable[[Rows], bool] = bool, seconds: float = 60) -> Rows:
        """Wait until an expression gives what is right."""
        deadline = time.monotonic() + seconds
        while not is_right(rows := self.query(expression)):
            assert time.monotonic() < deadline, f"{expression}: got {rows}; {self.targets()}"
            time.sleep(0.3)
        return rows

    def targets(self) -> list[tuple[str, str, str]]:
        """Return job, health and last error of each target."""
        found = self.client.get("/api/v1/targets").json()["data"]["activeTargets"]
        return [(target["labels"]["job"], target["health"], target["lastError"]) for target in found]


def _own_labels(metric: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in metric.items() if key not in {"__name__", "instance"}))


@contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, str], token: str) -> Iterator[Prometheus]:
    """Run it for the block."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = write_configuration(folder, targets, token)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [find_tool("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
            _wait_until_ready(client, process, folder / "prometheus.log")
            yield Prometheus(client)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"expected a Prometheus, got {log.read_text()[-2000:]}")
