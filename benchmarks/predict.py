"""How long `predict` takes over HTTP, and what the server's process needs for it.

``python -m benchmarks.predict [--requests 300] [--rounds 3]``. A server of its own (uvicorn on 127.0.0.1) serves the
pages with a champion that was fitted on ELPV's good cells; this process sends cells one at a time and several at once,
cells with their anomaly map, and JPEGs of 4000 x 3000 pixels. Seconds are those of the whole request as a client sees
them. The first request, which loads the champion, is told by itself. The peak is that of the server's whole process.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import product
from benchmarks.common import REPOSITORY, BenchmarkError, bench_home, median, run_main, table, write_results
from benchmarks.data import image_folder, large_jpegs, list_images, split_cells
from benchmarks.predict_server import COLLECTION, PORT_VARIABLE
from nightglass.collections import read_collection
from nightglass.models import open_registry
from nightglass.promotion import appoint_first
from nightglass.settings import Settings

#: How much the server's peak may grow from the first round to the last, which asks for the same again.
MAX_GROWTH = 0.1
_REQUESTS, _LARGE = 300, 20
_START_SECONDS = 120
_COLUMNS = {
    "what": "what is sent",
    "at_once": "at once",
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "scoring_p50_ms": "of it decoding and model, p50, ms",
    "images_per_second": "images/s",
}


@dataclass(frozen=True)
class Case:
    """What is asked, and how many requests are on their way at once."""

    what: str
    files: Sequence[Path]
    at_once: int
    requests: int
    query: str = ""


def prepare_home() -> Settings:
    """Fit and register the champion, unless it is there, and return the server's settings."""
    home = bench_home() / "predict"
    collections = home / "collections"
    collections.mkdir(parents=True, exist_ok=True)
    file = collections / f"{COLLECTION}.yaml"
    file.write_text("images: '{night}'\nschedule: null\n", encoding="utf-8")
    settings = Settings(home=home, collections_dir=collections).resolved()
    collection = read_collection(file)
    if open_registry(settings).get_champion(collection.model_name) is None:
        model = home / "detector"
        product.fit(image_folder("elpv-good", [cell.file for cell in split_cells().train]), model)
        version = open_registry(settings).register_detector(
            model, name=collection.model_name, params={}, metrics={}, tags={}
        )
        appoint_first(collection, version, settings, by="benchmark")
        shutil.rmtree(model)
    return settings


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[int, int]]:
    """Run the server for the block; give its port and its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.predict_server"]
    places = {"NIGHTGLASS_HOME": str(settings.home), "NIGHTGLASS_COLLECTIONS_DIR": str(settings.collections_dir)}
    with subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | places | {PORT_VARIABLE: str(port)}) as server:
        try:
            _wait(port, server)
            yield port, server.pid
        finally:
            server.terminate()


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise BenchmarkError("expected the server to answer, got none")


def ask(connection: http.client.HTTPConnection, file: Path, query: str) -> tuple[float, float]:
    """Send one image; return the seconds of the request and those that the answer tells of itself.

    Raises:
        BenchmarkError: It was not scored.
    """
    data = file.read_bytes()
    start = time.perf_counter()
    address = f"/api/collections/{COLLECTION}/predict{query}"
    connection.request("POST", address, data, {"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    elapsed = time.perf_counter() - start
    if answer.status != http.client.OK:
        raise BenchmarkError(f"{file.name}: expected a score, got {answer.status}: {told}")
    return elapsed, float(told["seconds"])


def measure(case: Case, port: int) -> dict[str, Any]:
    """Send a case's requests over as many connections as are at once; return what they took."""
    share = case.requests // case.at_once

    def send(client: int) -> list[tuple[float, float]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        files = [case.files[(client * share + number) % len(case.files)] for number in range(share)]
        return [ask(connection, file, case.query) for file in files]

    start = time.perf_counter()
    with ThreadPoolExecutor(case.at_once) as pool:
        taken = [pair for pairs in pool.map(send, range(case.at_once)) for pair in pairs]
    seconds = time.perf_counter() - start
    whole, scoring = np.asarray(taken).T * 1000
    return {
        "what": case.what,
        "at_once": case.at_once,
        "requests": len(taken),
        "p50_ms": float(np.quantile(whole, 0.5)),
        "p95_ms": float(np.quantile(whole, 0.95)),
        "scoring_p50_ms": float(np.quantile(scoring, 0.5)),
        "images_per_second": len(taken) / seconds,
    }


def peak_rss_bytes(pid: int) -> int:
    """Return the highest resident memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"expected VmHWM of process {pid}, got none")


def merge_rounds(rounds: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return one row a case: the median of its rounds."""
    rows = []
    for of_case in zip(*rounds, strict=True):
        figures = {name: median(row[name] for row in of_case) for name in of_case[0] if name not in {"what", "at_once"}}
        rows.append({"what": of_case[0]["what"], "at_once": of_case[0]["at_once"]} | figures)
    return rows


def main() -> int:
    """Run the benchmark, print its table, and return 0 when the server's memory is bounded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=_REQUESTS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = prepare_home()
    cells = list_images(image_folder("elpv-test", [cell.file for cell in split_cells().test]))
    large = list_images(large_jpegs(_LARGE))
    cases = [Case("a cell, 300 x 300", cells, count, options.requests) for count in (1, 2, 4, 8)]
    cases += [Case("a cell, with its map", cells, 1, options.requests, "?map=1")]
    cases += [Case("a JPEG, 4000 x 3000", large, count, max(_LARGE, options.requests // 5)) for count in (1, 4)]
    with serving(settings) as (port, pid):
        idle = peak_rss_bytes(pid)
        first, _ = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=300), cells[0], "")
        rounds, peaks = [], []
        for _ in range(options.rounds):
            rounds.append([measure(case, port) for case in cases])
            peaks.append(peak_rss_bytes(pid))
    rows = merge_rounds(rounds)
    limit = f"peak of the last round within {MAX_GROWTH:.0%} of the first's"
    is_kept = peaks[-1] <= peaks[0] * (1 + MAX_GROWTH)
    print(
        f"\n{table(rows, _COLUMNS)}\n\nfirst request: {first:.1f} s; peak RSS of the server: {idle / 1e6:.0f} MB idle,"
    )
    print(f"{', '.join(f'{peak / 1e6:.0f}' for peak in peaks)} MB after each round")
    print(f"\n{'kept' if is_kept else 'NOT KEPT'}: {limit}")
    results = {"rows": rows, "rounds": rounds, "first_seconds": first, "idle_rss_bytes": idle, "peak_rss_bytes": peaks}
    write_results("predict", results | {"kept": {limit: is_kept}}, is_trial=options.requests < _REQUESTS)
    return 0 if is_kept else 1


if __name__ == "__main__":
    run_main(main)
