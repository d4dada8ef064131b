"""How fast `nightglass score` is, against what the cores allow and against fastdup, anomalib and a plain timm loop.

``python -m benchmarks.throughput [--large] [--rounds 3]``. Every round runs every system once, one after the other, so
that a machine which is busy meanwhile disturbs all of them; ratios are taken within a round, and their median is shown.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import product
from benchmarks.common import bench_home, median, run_measured, table, write_results
from benchmarks.data import copy_fully_decoded, image_folder, large_jpegs, read_cells, split_cells, thin_out
from benchmarks.limits import limit_images_per_second
from benchmarks.peers.environments import peer_environment, peer_python
from benchmarks.product import Run, peer_run, read_scores
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


def run_nightglass(images: Path) -> Run:
    """Score with the detector that `fit_detector` fitted."""
    return product.score(images, _model(), bench_home() / "scores/throughput")


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


def compare(images: Path, peers: list[str], rounds: int) -> dict[str, Any]:
    """Run the limits, nightglass and the peers in turn, ``rounds`` times; return every figure and the tables' rows."""
    done: list[dict[str, Any]] = []
    systems: Mapping[str, tuple[str, System]] = {"nightglass": ("nightglass score", run_nightglass)} | {
        name: PEERS[name] for name in peers
    }
    for number in range(rounds):
        figures: dict[str, Any] = {"limits": _limits(images)}
        for name, (_, run) in systems.items():
            found = run(images)
            figures[name] = found.figures() | {"told": found.told}
            speed = f"{found.images_per_second:.1f} images/s"
            print(f"{images.name}, round {number + 1}: {name} {speed}", file=sys.stderr)
        done.append(figures)
    rows = [_row(title, name, done) for name, (title, _) in systems.items()]
    return {"folder": images.name, "rows": rows, "limit": _limit_row(done), "rounds": done}


def _row(title: str, name: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("images", "images_per_second", "whole_images_per_second", "cpu_ms_per_image", "peak_rss_mb")
    row = {key: median(figures[name][key] for figures in rounds) for key in keys}
    for ratio, key in (("ratio", "images_per_second"), ("whole_ratio", "whole_images_per_second")):
        row[ratio] = median(figures["nightglass"][key] / figures[name][key] for figures in rounds)
    return {"system": title, **row}


def _limits(images: Path) -> dict[str, Any]:
    told = run_measured(
        [sys.executable, "-m", "benchmarks.limits", "--images", images, "--model", _model()]
    ).last_json()
    return told | {"limit": limit_images_per_second(told)}


def _limit_row(rounds: list[dict[str, Any]]) -> dict[str, Any]:
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


def compare_decoding(images: Path) -> dict[str, Any]:
    """Score large images, and the same decoded in full by Pillow, and return how far the scores are apart."""
    import numpy as np
    from scipy.stats import spearmanr

    from nightglass.models import find_model
    from nightglass.settings import read_settings

    detector = find_model(str(_model()), read_settings()).detector
    full = copy_fully_decoded(images, detector.options.backbone.image_size)
    found = []
    for folder in (images, full):
        out = bench_home() / "scores/decoding"
        product.score(folder, _model(), out)
        found.append({Path(path).stem: score for path, score in read_scores(out).items()})
    reduced, whole = (np.array([scores[name] for name in sorted(found[0])]) for scores in found)
    threshold = detector.calibration.image_threshold
    return {
        "images": len(reduced),
        "largest_difference": float(np.abs(reduced - whole).max()),
        "mean_difference": float(np.abs(reduced - whole).mean()),
        "score_range": f"{whole.min():.3f} to {whole.max():.3f}",
        "rank_correlation": float(spearmanr(reduced, whole).statistic),
        "other_verdict": int(((reduced >= threshold) != (whole >= threshold)).sum()),
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
    options = parser.parse_args()
    product.fit(image_folder("elpv-good", [cell.file for cell in split_cells().train]), _model())
    cells = image_folder("elpv", [cell.file for cell in thin_out(read_cells(), options.limit)])
    results: dict[str, Any] = {"elpv": compare(cells, options.peers, options.rounds)}
    if options.large:
        large = large_jpegs(options.large_images)
        plain = [peer for peer in options.peers if peer.startswith("timm")]
        results["large"] = compare(large, plain, options.rounds)
        results["decoding"] = compare_decoding(large)
    for found in (results[name] for name in ("elpv", "large") if name in results):
        print(
            f"\n### {found['folder']}\n\n{table(found['rows'], _COLUMNS)}\n\n{table([found['limit']], _LIMIT_COLUMNS)}"
        )
    if decoding := results.get("decoding"):
        print(
            "\n### Reduced against full decode\n\n"
            + table([decoding], {key: key.replace("_", " ") for key in decoding})
        )
    write_results("throughput", results)


if __name__ == "__main__":
    main()
