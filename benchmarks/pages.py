"""What the analyst's pages cost the server: a night of a million images, a hundred nights of history, each page.

``python -m benchmarks.pages [--rows 1000000] [--nights 100] [--images 10000] [--requests 40] [--only NAME …]``. The
home is made once for each size and kept, see `benchmarks.pages_home`; then every page is asked again and again in a
process of its own, see `benchmarks.pages_client`. The first answer of a process is cold: it loads what the page needs.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.common import bench_home, run_main, run_measured, table, write_results
from benchmarks.pages_home import CAMERAS, draw_place
from benchmarks.scale_place import Place

#: What issue 5 asks of a page and of a search, milliseconds, and what memory stays below.
MAX_PAGE_MS, MAX_SEARCH_MS, MAX_PEAK_MB = 300, 1000, 2_000
_ROWS, _NIGHTS, _IMAGES, _VERDICTS = 1_000_000, 100, 10_000, 50_000
_NIGHT = "/collections/{collection}/nights/{night}"


@dataclass(frozen=True)
class Page:
    """One page: its name in the results, how it is asked for, and the limit of its 95th percentile.

    ``limit_ms`` is None where no request finds anything warm.
    """

    name: str
    path: str
    method: str = "GET"
    body: str = "nothing"
    limit_ms: int | None = MAX_PAGE_MS


#: Every page that is measured.
PAGES: tuple[Page, ...] = (
    Page("overview", "/"),
    Page("night", _NIGHT),
    Page("night, filtered and sorted", f"{_NIGHT}?sort=path&verdict=none&slice=camera%3Dcamera-0007"),
    Page("another night each time", "/collections/{collection}/nights/{each}", limit_ms=None),
    Page("picture of a top anomaly", f"{_NIGHT}/pictures/0001.image.jpg"),
    Page("anomaly map of a top anomaly", f"{_NIGHT}/pictures/0001.map.png"),
    Page("verdict by key", f"{_NIGHT}/verdicts", "POST", "verdict"),
    Page("images of a slice, counted", f"{_NIGHT}/verdicts/coverage?slice=camera%3Dcamera-0007"),
    Page("image", f"{_NIGHT}/images/{{sha256}}"),
    Page("similar images beside an image", f"{_NIGHT}/images/{{sha256}}/similar"),
    Page("search, the form", "/search"),
    Page("search, an upload", "/search?collections={collection}", "POST", "image", MAX_SEARCH_MS),
    Page("models", "/collections/{collection}/models"),
    Page("model card", "/collections/{collection}/models/1/card"),
    Page("API: a night", f"/api{_NIGHT}"),
    Page("API: scores", f"/api{_NIGHT}/scores?after=500000&limit=1000"),
    Page("metrics", "/metrics"),
    Page("predict", "/api/collections/{collection}/predict", "POST", "image"),
)
_COLUMNS = {
    "page": "page",
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "cpu_p50_ms": "CPU of p50, ms",
    "first_ms": "first, ms",
    "peak_rss_mb": "peak RSS, MB",
    "answer_kb": "answer, KB",
}


def make_home(rows: int, nights: int, images: int, verdicts: int) -> Place:
    """Return the home of these sizes, made where it is not there yet."""
    root = bench_home() / f"pages-{rows}-{nights}-{images}-{verdicts}"
    place = Place(root)
    done = root / "done"
    if done.exists():
        return place
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    draw_place(place)
    env = environment(place)
    arguments = ["--images", place.good, "--out", root / "model", "--collection", place.collection_file, "--register"]
    run_measured([sys.executable, "-c", "from nightglass.cli import main; main()", "fit", *arguments], env=env)
    sizes = ["--rows", rows, "--nights", nights, "--images", images, "--verdicts", verdicts]
    print(f"making a night of {rows:,} images and {nights} before it …", file=sys.stderr)
    run_measured([sys.executable, "-m", "benchmarks.pages_home", root, *sizes], env=env)
    done.touch()
    return place


def environment(place: Place) -> dict[str, str]:
    """Return the environment of a process that works on the home."""
    settings = {"NIGHTGLASS_HOME": str(place.home), "NIGHTGLASS_COLLECTIONS_DIR": str(place.root)}
    return {name: value for name, value in os.environ.items() if not name.startswith("NIGHTGLASS_")} | settings


def measure_page(place: Place, page: Page, requests: int) -> dict[str, Any]:
    """Return a row of the table."""
    command = [page.method, page.path, "--body", page.body, "--requests", requests]
    measured = run_measured(
        [sys.executable, "-m", "benchmarks.pages_client", place.root, *command], env=environment(place)
    )
    found = measured.last_json()
    found["peak_rss_mb"] = measured.peak_rss_bytes / 1e6
    row = {"page": page.name, "limit_ms": page.limit_ms, "answer_kb": found["answer_bytes"] / 1000, **found}
    print(f"{page.name}: p95 {row['p95_ms']:.0f} ms, {row['peak_rss_mb']:.0f} MB", file=sys.stderr)
    return row


def check(rows: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """Return which limits the pages keep."""
    kept = {
        f"{row['page']}: p95 under {row['limit_ms']} ms": row["p95_ms"] < row["limit_ms"]
        for row in rows
        if row["limit_ms"] is not None
    }
    return kept | {f"every page under {MAX_PEAK_MB:,} MB": all(row["peak_rss_mb"] < MAX_PEAK_MB for row in rows)}


def main() -> int:
    """Measure every page, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=_ROWS, help=f"images of the last night, a multiple of {CAMERAS}")
    parser.add_argument("--nights", type=int, default=_NIGHTS, help="nights before it")
    parser.add_argument("--images", type=int, default=_IMAGES, help="images of each of those")
    parser.add_argument("--verdicts", type=int, default=_VERDICTS, help="verdicts in the log")
    parser.add_argument("--requests", type=int, default=40, help="to each page")
    parser.add_argument("--only", nargs="+", choices=[page.name for page in PAGES], help="these pages alone")
    options = parser.parse_args()
    if options.rows % CAMERAS:
        parser.error(f"--rows: expected a multiple of {CAMERAS}, got {options.rows}")
    place = make_home(options.rows, options.nights, options.images, options.verdicts)
    pages = [page for page in PAGES if not options.only or page.name in options.only]
    rows = [measure_page(place, page, options.requests) for page in pages]
    kept = check(rows)
    print(table(rows, _COLUMNS))
    print("\n" + "\n".join(f"{'kept' if is_kept else 'NOT KEPT'}: {limit}" for limit, is_kept in kept.items()))
    sizes = {name: getattr(options, name) for name in ("rows", "nights", "images", "verdicts", "requests")}
    is_trial = options.rows < _ROWS or options.nights < _NIGHTS or options.only is not None
    write_results("pages", {**sizes, "pages": rows, "kept": kept}, is_trial=is_trial)
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    run_main(main)
