"""Peak memory of `nightglass score` against the number of images and against the size of the detector's banks.

``python -m benchmarks.memory [--base 250] [--times 1 10 40] [--rounds 3]``. The base is cells of ELPV, spread evenly
over the data set; a larger folder holds links to the same cells several times over, each in a folder of its own, so
that nothing but the number of images differs. The base has to fill every queue, batch and buffer of the pipeline once,
or larger folders would seem to grow: a hundred images do. ``--base 2624`` takes all of ELPV, 134,000 images a round.

For the banks the cells come mirrored and turned as well, since contents that occur twice count once in a fit. A peak is
that of the whole process, interpreter and libraries included, as the kernel counts it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import product
from benchmarks.common import bench_home, median, run_main, table, write_results
from benchmarks.data import copies_folder, image_folder, read_cells, split_cells, thin_out, turned_cells

#: What issue 3 asks of the largest folder against the smallest.
MAX_GROWTH = 0.1
_BASE = 250
_USUAL_PLACES, _FEW_IMAGES = 10_000, 1_000
_COUNT_COLUMNS = {
    "times": "times the base",
    "images": "images",
    "peak_rss_mb": "peak RSS, MB",
    "ratio": "against the base",
    "bytes_an_image": "bytes a further image",
    "seconds": "seconds",
}
_BANK_COLUMNS = {
    "bank_images": "images in the bank",
    "patch_places": "places in the patch bank",
    "model_mb": "detector on disk, MB",
    "fit_peak_rss_mb": "peak RSS of fit, MB",
    "score_peak_rss_mb": "peak RSS of score, MB",
}


def measure_counts(base: Path, times: Sequence[int], rounds: int) -> dict[str, Any]:
    """Score folders that hold the images of ``base`` so many ``times`` over; return every peak and the table's rows."""
    model, out = bench_home() / "models/memory", bench_home() / "scores/memory"
    product.fit(image_folder("elpv-good", [cell.file for cell in split_cells().train]), model)
    folders = {count: copies_folder(base, count) for count in sorted(times)}
    runs: list[dict[str, Any]] = []
    for number in range(rounds):
        for count, folder in folders.items():
            found = product.score(folder, model, out)
            peak = found.measured.peak_rss_bytes
            runs.append({"times": count, "images": found.images, "peak_bytes": peak, "seconds": found.run_seconds})
            print(f"round {number + 1}: {found.images:,} images, {peak / 1e6:.0f} MB", file=sys.stderr)
    return {"base": base.name, "rows": growth_rows(runs), "runs": runs}


def growth_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each folder: the median of its peaks, against that of the smallest folder."""
    rows: list[dict[str, Any]] = []
    for count in sorted({run["times"] for run in runs}):
        chosen = [run for run in runs if run["times"] == count]
        peak, images = median(run["peak_bytes"] for run in chosen), chosen[0]["images"]
        row = {"times": count, "images": images, "peak_rss_mb": peak / 1e6, "ratio": 1.0, "bytes_an_image": None}
        if rows:
            growth = peak - rows[0]["peak_rss_mb"] * 1e6
            row["ratio"] = peak / (rows[0]["peak_rss_mb"] * 1e6)
            row["bytes_an_image"] = round(growth / (images - rows[0]["images"]))
        rows.append(row | {"seconds": median(run["seconds"] for run in chosen)})
    return rows


def measure_banks(scored: Path, sizes: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Fit a detector for each number of bank images and of places, score ``scored`` with it, and return the peaks."""
    good = turned_cells(read_cells(), max(images for images, _ in sizes))
    model, out = bench_home() / "models/memory-bank", bench_home() / "scores/memory"
    rows = []
    for images, places in sizes:
        options = {"detector": {"max_bank_images": images, "patch_bank_size": places}}
        fitted = product.fit(good, model, collection=product.write_collection("memory", options))
        found = product.score(scored, model, out)
        row = {
            "bank_images": images,
            "patch_places": places,
            "model_mb": sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6,
            "fit_peak_rss_mb": fitted.measured.peak_rss_bytes / 1e6,
            "score_peak_rss_mb": found.measured.peak_rss_bytes / 1e6,
        }
        print(f"bank: {row}", file=sys.stderr)
        rows.append(row)
    return rows


def bank_sizes(images: Sequence[int], places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the banks to measure: each number of images at the usual places, each of places with few images."""
    wanted = [(count, _USUAL_PLACES) for count in images] + [(_FEW_IMAGES, count) for count in places]
    return list(dict.fromkeys(wanted))


def main() -> int:
    """Run the benchmark, print its tables, and return 0 when memory is flat enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=int, default=_BASE, help="cells in the smallest folder")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 40])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bank-images", type=int, nargs="*", default=[1_000, 5_000, 20_000])
    parser.add_argument("--patch-places", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    options = parser.parse_args()
    base = image_folder("elpv", [cell.file for cell in thin_out(read_cells(), options.base)])
    counts = measure_counts(base, options.times, options.rounds)
    print(f"\n### Number of images\n\n{table(counts['rows'], _COUNT_COLUMNS)}")
    results: dict[str, Any] = {"counts": counts}
    if sizes := bank_sizes(options.bank_images, options.patch_places):
        results["banks"] = measure_banks(base, sizes)
        print(f"\n### Size of the banks, {options.base:,} images scored\n\n{table(results['banks'], _BANK_COLUMNS)}")
    last = counts["rows"][-1]
    limit = f"peak at {last['times']}x within {MAX_GROWTH:.0%} of the base"
    is_kept = last["ratio"] <= 1 + MAX_GROWTH
    print(f"\n{'kept' if is_kept else 'NOT KEPT'}: {limit}")
    is_trial = options.base < _BASE or not (options.bank_images and options.patch_places)
    write_results("memory", results | {"kept": {limit: is_kept}}, is_trial=is_trial)
    return 0 if is_kept else 1


if __name__ == "__main__":
    run_main(main)
