"""Ask one page again and again, in a process of its own, and tell how long the server took and how much memory.

The requests go through the whole app, guard and templates included, but through no socket and no Airflow: what is
measured is what a page costs the server.
"""

import argparse
import itertools
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.testclient import TestClient

from benchmarks.scale_place import COLLECTION, Place


class Everybody:
    """Somebody who may do everything."""

    user_name = "analyst"

    def may_read(self, collection: str) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def may_change(self, collection: str) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def may_start(self, dag_id: str) -> bool:  # noqa: ARG002
        """Return True."""
        return True


def open_app() -> FastAPI:
    """Return the pages, open to everybody."""
    from nightglass.pages.app import create_app

    return create_app(Everybody, lambda _: None)


def measure(place: Place, method: str, path: str, body: str, requests: int) -> dict[str, Any]:
    """Ask a page ``requests`` times and tell about the answers; the first one is cold and counts apart.

    Args:
        place: The home.
        method: ``GET`` or ``POST``.
        path: May name ``{collection}``, ``{night}``, ``{each}`` (another night each time), ``{sha256}``, ``{version}``.
        body: What a POST sends: ``verdict``, ``image`` or nothing.
        requests: How many.
    """
    known = _read_known()
    make_body = _BODIES[body]
    nights = itertools.cycle(known["nights"])
    client = TestClient(open_app(), headers={"Accept": "text/html, application/json", "X-Nightglass": "1"})
    seconds: list[float] = []
    busy: list[float] = []
    size = status = 0
    bodies = make_body(place, known)
    for _ in range(requests):
        address = path.format(**known, each=next(nights), collection=COLLECTION)
        sent = next(bodies)
        start, started_busy = time.perf_counter(), time.process_time()
        answer = client.request(method, address, follow_redirects=False, **sent)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - started_busy)
        size, status = len(answer.content), answer.status_code
        if status >= 400:
            raise SystemExit(f"{method} {address}: expected an answer, got {status}: {answer.text[:300]}")
    warm = np.array(seconds[1:]) * 1000
    return {
        "status": status,
        "answer_bytes": size,
        "first_ms": seconds[0] * 1000,
        "p50_ms": float(np.percentile(warm, 50)),
        "p95_ms": float(np.percentile(warm, 95)),
        "cpu_p50_ms": float(np.percentile(np.array(busy[1:]) * 1000, 50)),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _read_known() -> dict[str, Any]:
    """Return what the addresses of the pages are made of: the newest night first."""
    from nightglass.settings import read_settings
    from nightglass.store import Store

    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        rows = store.list_nights(COLLECTION, 1000)
        first = store.nights.images(COLLECTION, rows[0].night)[0]
    return {
        "night": rows[0].night,
        "nights": [row.night for row in rows],
        "version": rows[0].model_version,
        "sha256": first.sha256,
        "rank": first.rank,
    }


def _send_nothing(place: Place, known: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    yield from itertools.repeat({})


def _send_verdicts(place: Place, known: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    for word in itertools.cycle(("defect", "normal")):
        yield {"json": {"rank": known["rank"], "sha256": known["sha256"], "verdict": word}}


def _send_images(place: Place, known: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    for file in itertools.cycle(sorted(place.good.iterdir())):
        yield {"content": file.read_bytes(), "headers": {"Content-Type": "image/png"}}


_BODIES: dict[str, Callable[[Place, dict[str, Any]], Iterator[dict[str, Any]]]] = {
    "nothing": _send_nothing,
    "verdict": _send_verdicts,
    "image": _send_images,
}


def main() -> None:
    """Measure one page and print what was found as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("method", choices=("GET", "POST"))
    parser.add_argument("path")
    parser.add_argument("--body", choices=sorted(_BODIES), default="nothing")
    parser.add_argument("--requests", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(measure(Place(options.root), options.method, options.path, options.body, options.requests)))


if __name__ == "__main__":
    main()
