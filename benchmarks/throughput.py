"""How fast `nightglass score` is, against what the cores allow and against fastdup, anomalib and a plain timm loop.

``python -m benchmarks.throughput [--large] [--rounds 3]``. Every round runs every system once, one after the other, so
that a machine which is busy meanwhile disturbs all of them; ratios are taken within a round, and their median is shown.

``--peers`` without a name runs nightglass and the limits only. ``--collection FILE`` takes detector and scoring
settings from a collection's file, such as another precision or ``scoring: {device: cuda}``. On a GPU the
limit is the slower of decoding on all cores and the network alone, see `benchmarks.limits`; the timm loop and anomalib
take a GPU wherever there is one.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import product
from benchmarks.common import BenchmarkError, bench_home, median, run_main, run_measured, table, write_results
from benchmarks.data import image_folder, large_jpegs, list_images, read_cells, split_cells, thin_out
from benchmarks.decoding import compare_decoding
from benchmarks.limits import limit_images_per_second
from benchmarks.peers.environments import peer_environment, peer_python
from benchmarks.product import Run, peer_run
from nightglass.engine.stage_times import count_workers

System = Callable[[Path], Run]
_ANOMALIB_IMAGES, _ANOMALIB_CORESET = 113, 0.01
_COLUMNS = {
    "system": "system",
    "images_per_second": "images/s",
    "ratio": "nightglass / system",
    "whole_images_per_second": "images/s, whole process",
    "whole_ratio": "nightglass / system, whole process",
    "cpu_ms_per_image": "CPU ms an image",
    "peak_rss_mb": "peak RSS, MB",
}
_LIMIT_COLUMNS = {
    "decode_cpu_ms": "decode-only, CPU ms an image",
    "forward_cpu_ms": "forward-only, CPU ms an image",
    "limit": "limit, images/s",
    "reached": "nightglass, images/s",
    "share": "share of the limit",
    "cpu_share": "share of its CPU time in decode and forward",
    "backend": "backend",
}


def run_nightglass(images: Path, collection: Path | None = None) -> Run:
    """Score with the detector that `main` fitted."""
    return product.score(images, _model(), bench_home() / "scores/throughput", collection=collection)


def run_fastdup(images: Path) -> Run:
    """Run fastdup over the folder."""
    command = [peer_python("fastdup"), "-m", "benchmarks.peers.fastdup_run", "--images", images]
    return peer_run(run_measured(command, env=peer_environment()))


def run_anomalib(images: Path) -> Run:
    """Predict with a PatchCore that is fitted, the first time, on a tenth of the good cells."""
    script = [peer_python("anomalib"), "-m", "benchmarks.peers.anomalib_patchcore"]
    model = bench_home() / f"models/anomalib-{_ANOMALIB_IMAGES}.pt"
    model.parent.mkdir(exist_ok=True)
    workers = ["--workers", str(count_workers())]
    if not model.is_file():
        good = image_folder("elpv-good", [cell.file for cell in thin_out(split_cells().train, _ANOMALIB_IMAGES)])
        coreset = ["--coreset", str(_ANOMALIB_CORESET)]
        run_measured([*script, "fit", "--images", good, "--model", model, *coreset, *workers], env=peer_environment())
    scores = ["--scores", bench_home() / "anomalib-scores.csv"]
    command = [*script, "predict", "--images", images, "--model", model, *scores, *workers]
    return peer_run(run_measured(command, env=peer_environment()))


def run_timm(images: Path, *, bf16: bool = False) -> Run:
    """Embed the folder with a plain timm loop, in nightglass's own environment: the same torch and timm."""
    command = [sys.executable, "-m", "benchmarks.peers.timm_loop", "--images", images]
    command += ["--workers", str(count_workers()), *(["--bf16"] if bf16 else [])]
    return peer_run(run_measured(command, env=peer_environment()))


PEERS: dict[str, tuple[str, System]] = {
    "fastdup": ("fastdup 2.54", run_fastdup),
    "anomalib": ("anomalib 2.7 PatchCore, visualizer off", run_anomalib),
    "timm": ("timm + DataLoader, fp32", run_timm),
    "timm-bf16": ("timm + DataLoader, bf16, channels last", lambda images: run_timm(images, bf16=True)),
}


def compare(images: Path, peers: list[str], rounds: int, collection: Path | None = None) -> dict[str, Any]:
    """Run the limits, nightglass and the peers in turn, ``rounds`` times; return every figure and the tables' rows.

    Raises:
        BenchmarkError: A system saw another number of images than there are.
    """
    done: list[dict[str, Any]] = []
    own: System = partial(run_nightglass, collection=collection)
    systems: Mapping[str, tuple[str, System]] = {"nightglass": ("nightglass score", own)} | {
        name: PEERS[name] for name in peers
    }
    total = len(list_images(images))
    for number in range(rounds):
        figures: dict[str, Any] = {"limits": _limits(images, collection)}
        for name, (_, run) in systems.items():
            found = run(images)
            if found.images != total:
                raise BenchmarkError(f"{name}: expected to see the {total} images of {images}, got {found.images}")
            figures[name] = found.figures() | {"told": found.told}
            speed = f"{found.images_per_second:.1f} images/s"
            print(f"{images.name}, round {number + 1}: {name} {speed}", file=sys.stderr)
        done.append(figures)
    rows = [system_row(title, name, done) for name, (title, _) in systems.items()]
    return {"folder": images.name, "rows": rows, "limit": limit_row(done), "rounds": done}


def system_row(title: str, name: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a system's row: medians over the rounds, and the median of the ratios to nightglass in each round."""
    keys = ("images", "images_per_second", "whole_images_per_second", "cpu_ms_per_image", "peak_rss_mb")
    row = {key: median(figures[name][key] for figures in rounds) for key in keys}
    for ratio, key in (("ratio", "images_per_second"), ("whole_ratio", "whole_images_per_second")):
        row[ratio] = median(figures["nightglass"][key] / figures[name][key] for figures in rounds)
    return {"system": title, **row}


def _limits(images: Path, collection: Path | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.limits", "--images", images, "--model", _model()]
    told = run_measured([*command, *(["--collection", collection] if collection else [])]).last_json()
    return told | {"limit": limit_images_per_second(told)}


def limit_row(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how near nightglass came to what the cores allow: medians over the rounds."""
    limits = [figures["limits"] for figures in rounds]
    own = [figures["nightglass"] for figures in rounds]
    needed = [limit["decode_cpu_seconds"] + limit["forward_cpu_seconds"] for limit in limits]
    used = [figures["told"]["run_cpu_seconds"] / figures["images"] for figures in own]
    return {
        "decode_cpu_ms": 1000 * median(limit["decode_cpu_seconds"] for limit in limits),
        "forward_cpu_ms": 1000 * median(limit["forward_cpu_seconds"] for limit in limits),
        "limit": median(limit["limit"] for limit in limits),
        "reached": median(figures["images_per_second"] for figures in own),
        "share": median(a["images_per_second"] / b["limit"] for a, b in zip(own, limits, strict=True)),
        "cpu_share": median(a / b for a, b in zip(needed, used, strict=True)),
        "backend": limits[0]["backend"],
    }


def _model() -> Path:
    return bench_home() / "models/throughput"


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="only so many cells, for trying out")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=list(PEERS))
    parser.add_argument("--large", action="store_true", help="4000 x 3000 JPEGs as well, against the plain loop")
    parser.add_argument("--large-images", type=int, default=240)
    parser.add_argument("--collection", type=Path, help="detector and scoring settings, as a collection's file")
    options = parser.parse_args()
    collection = options.collection
    good = image_folder("elpv-good", [cell.file for cell in split_cells().train])
    product.fit(good, _model(), collection=collection)
    cells = image_folder("elpv", [cell.file for cell in thin_out(read_cells(), options.limit)])
    results: dict[str, Any] = {"elpv": compare(cells, options.peers, options.rounds, collection)}
    if options.large:
        large = large_jpegs(options.large_images)
        plain = [peer for peer in options.peers if peer.startswith("timm")]
        results["large"] = compare(large, plain, options.rounds, collection)
        results["decoding"] = compare_decoding(large, _model(), collection)
    for found in (results[name] for name in ("elpv", "large") if name in results):
        print(
            f"\n### {found['folder']}\n\n{table(found['rows'], _COLUMNS)}\n\n{table([found['limit']], _LIMIT_COLUMNS)}"
        )
    if decoding := results.get("decoding"):
        print(
            "\n### Reduced against full decode\n\n"
            + table([decoding], {key: key.replace("_", " ") for key in decoding})
        )
    variant = options.collection.stem if options.collection else ""
    write_results("throughput", results, variant=variant, is_trial=options.limit is not None)


if __name__ == "__main__":
    run_main(main)
