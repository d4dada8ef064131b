"""How long a search for similar images takes over 100 nights of 10,000, and finding one image in a night of a million.

``python -m benchmarks.search [--nights 100 --rows 10000 --large 1000000]``. Score folders are drawn, see
`benchmarks.search_home`. Then, in a process of its own that does nothing else, the pages answer through their app as
they do in Airflow's API server: the first search (nothing in memory, the files in the system's cache), searches for
other images after it, several at once, and the page of an image in the largest night. Seconds are those of the server,
without any network; the pictures of results come apart.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import bench_home, run_main, run_measured, table, write_results
from benchmarks.search_home import COLLECTION, LARGE_COLLECTION, LAST_NIGHT, content_of, draw_home, publish_home

MAX_WARM_SECONDS, MAX_PAGE_SECONDS = 1.0, 0.3
_NIGHTS, _ROWS, _LARGE = 100, 10_000, 1_000_000
_SEARCHES, _AT_ONCE = 40, 4
_COLUMNS = {"what": "what", "times": "times", "seconds": "seconds, median", "p95": "p95"}


class Everybody:
    """Whoever measures may read everything."""

    user_name = "benchmark"

    def may_read(self, collection: str) -> bool:  # noqa: ARG002  as Rights has it
        """Yes."""
        return True

    def may_change(self, collection: str) -> bool:  # noqa: ARG002  as Rights has it
        """No."""
        return False

    def may_start(self, dag_id: str) -> bool:  # noqa: ARG002  as Rights has it
        """No."""
        return False


def measure(nights: int, rows: int, large: int) -> list[dict[str, Any]]:
    """Ask the pages of the home in the environment; return a row for each kind of question."""
    from fastapi.testclient import TestClient

    from nightglass.pages.app import create_app

    client = TestClient(create_app(Everybody, lambda _: None))

    def get(address: str) -> float:
        start = time.perf_counter()
        answer = client.get(address)
        seconds = time.perf_counter() - start
        if answer.status_code != 200:
            raise ValueError(f"{address}: expected 200, got {answer.status_code}: {answer.text[:300]}")
        return seconds

    def search(number: int) -> float:
        back, row = number * 7 % nights, number * 997 % rows
        night = (LAST_NIGHT - timedelta(days=back)).isoformat()
        sha256 = content_of(COLLECTION, night, row)
        return get(f"/search?collection={COLLECTION}&night={night}&sha256={sha256}")

    def page(number: int) -> float:
        sha256 = content_of(LARGE_COLLECTION, LAST_NIGHT.isoformat(), number * 104_729 % large)
        return get(f"/collections/{LARGE_COLLECTION}/nights/{LAST_NIGHT}/images/{sha256}")

    def similar(number: int) -> float:
        sha256 = content_of(COLLECTION, LAST_NIGHT.isoformat(), number)
        return get(f"/collections/{COLLECTION}/nights/{LAST_NIGHT}/images/{sha256}/similar")

    get("/search")  # the templates
    told = [_measure("first search, nothing in memory", 1, search)]
    told.append(_measure("search after it", _SEARCHES, search))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seconds = list(pool.map(search, range(_SEARCHES)))
    told.append(_summarise(f"search, {_AT_ONCE} at once", seconds))
    told.append(_measure(f"page of an image of {large:,}, first", 1, page))
    told.append(_measure("page of another image of it", _SEARCHES, page))
    told.append(_measure("similar images beside an image, 30 nights", _SEARCHES, similar))
    return told


def _measure(what: str, times: int, ask: Callable[[int], float]) -> dict[str, Any]:
    return _summarise(what, [ask(number) for number in range(times)])


def _summarise(what: str, seconds: list[float]) -> dict[str, Any]:
    return {
        "what": what,
        "seconds": round(float(np.median(seconds)), 4),
        "p95": round(float(np.quantile(seconds, 0.95)), 4),
        "times": len(seconds),
    }


def main() -> int:
    """Draw, measure in a process of its own, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=_NIGHTS)
    parser.add_argument("--rows", type=int, default=_ROWS, help="images of a night")
    parser.add_argument("--large", type=int, default=_LARGE, help="images of the one large night")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = (given.nights, given.rows, given.large)
    if given.measure:
        print(json.dumps({"rows": measure(*sizes)}))
        return 0
    with tempfile.TemporaryDirectory(prefix="search-", dir=bench_home()) as folder:
        root = Path(folder)
        env = {"NIGHTGLASS_HOME": str(root / "home"), "NIGHTGLASS_COLLECTIONS_DIR": str(root / "collections")}
        os.environ.update(env)
        draw_home(root, *sizes)
        publish_home(root, *sizes)
        words = [f"--{name}={value}" for name, value in zip(("nights", "rows", "large"), sizes, strict=True)]
        measured = run_measured([sys.executable, "-m", "benchmarks.search", "--measure", *words])
    told = measured.last_json()["rows"]
    warm = next(row for row in told if row["what"] == "search after it")
    page = next(row for row in told if row["what"] == "page of another image of it")
    kept = {
        f"a search after warm-up within {MAX_WARM_SECONDS:g} s (p95)": warm["p95"] <= MAX_WARM_SECONDS,
        f"the page of an image within {MAX_PAGE_SECONDS:g} s (p95)": page["p95"] <= MAX_PAGE_SECONDS,
    }
    print(table(told, _COLUMNS))
    print(f"\npeak memory of the process: {measured.peak_rss_bytes / 1e6:,.0f} MB")
    print("\n".join(f"{'kept' if is_kept else 'NOT KEPT'}: {limit}" for limit, is_kept in kept.items()))
    results = {"nights": sizes[0], "rows": sizes[1], "large": sizes[2], "measured": told, "kept": kept}
    is_trial = sizes != (_NIGHTS, _ROWS, _LARGE)
    write_results("search", results | {"peak_rss_bytes": measured.peak_rss_bytes}, is_trial=is_trial)
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    run_main(main)
