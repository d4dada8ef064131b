"""How long `nightglass fit` takes against anomalib's PatchCore on the same 1,131 good cells, and how well each detects.

``python -m benchmarks.fit [--rounds 3] [--peer-rounds 1]``. anomalib's coreset of 0.1 % takes minutes, so it runs once
by default, between two runs of nightglass; the ratio is of the medians. Both score the same test cells afterwards.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import product
from benchmarks.common import bench_home, median, run_main, run_measured, table, write_results
from benchmarks.data import Cell, image_folder, split_cells, thin_out
from benchmarks.metrics import image_figures
from benchmarks.peers.environments import peer_environment, peer_python
from benchmarks.product import Run, peer_run, read_scores
from nightglass.engine.stage_times import count_workers

_CORESET = 0.001
_COLUMNS = {
    "system": "system",
    "rounds": "rounds",
    "run_seconds": "fit, seconds",
    "ratio": "system / nightglass",
    "whole_seconds": "seconds, whole process",
    "whole_ratio": "system / nightglass, whole process",
    "cpu_seconds": "CPU seconds",
    "peak_rss_mb": "peak RSS, MB",
    "auroc": "image AUROC",
    "average_precision": "AP",
    "recall_at_1pct_false_alarms": "recall at 1 % false alarms",
}


class Nightglass:
    """`nightglass fit` and `nightglass score`."""

    title = "nightglass fit"

    def __init__(self) -> None:
        self._model = bench_home() / "models/fit"

    def fit(self, images: Path) -> Run:
        """Fit on every image of the folder."""
        return product.fit(images, self._model)

    def score(self, images: Path) -> dict[str, float]:
        """Return the score of each file name."""
        out = bench_home() / "scores/fit"
        product.score(images, self._model, out)
        return read_scores(out)


class Anomalib:
    """anomalib's PatchCore, see `benchmarks.peers.anomalib_patchcore`."""

    title = f"anomalib 2.7 PatchCore, coreset {_CORESET:.1%}"

    def __init__(self) -> None:
        self._model = bench_home() / "models/anomalib-fit.pt"
        self._scores = bench_home() / "anomalib-scores.csv"

    def fit(self, images: Path) -> Run:
        """Fit on every image of the folder."""
        return self._run("fit", images, "--coreset", _CORESET)

    def score(self, images: Path) -> dict[str, float]:
        """Return the score of each file name."""
        self._run("predict", images, "--scores", self._scores)
        with self._scores.open(encoding="utf-8", newline="") as file:
            return {Path(row["path"]).name: float(row["image_score"]) for row in csv.DictReader(file)}

    def _run(self, step: str, images: Path, *arguments: object) -> Run:
        script = [peer_python("anomalib"), "-m", "benchmarks.peers.anomalib_patchcore", step]
        common = ["--images", images, "--model", self._model, "--workers", count_workers()]
        return peer_run(run_measured([*script, *common, *arguments], env=peer_environment()))


def compare(train: list[Cell], test: list[Cell], rounds: int, peer_rounds: int) -> dict[str, Any]:
    """Fit both in turn, score the test cells with the last fit of each, and return every figure."""
    good = image_folder("elpv-good", [cell.file for cell in train])
    unseen = image_folder("elpv-test", [cell.file for cell in test])
    wanted: dict[Nightglass | Anomalib, int] = {Nightglass(): rounds, Anomalib(): peer_rounds}
    done: dict[str, list[dict[str, Any]]] = {system.title: [] for system in wanted}
    for number in range(max(rounds, peer_rounds)):
        for system in [system for system, count in wanted.items() if number < count]:
            found = system.fit(good)
            done[system.title].append(found.figures() | {"told": found.told})
            print(f"round {number + 1}: {system.title} {found.run_seconds:.1f} s", file=sys.stderr)
    rows = []
    own = done[Nightglass.title]
    for system, count in wanted.items():
        if count:
            keys = ("run_seconds", "whole_seconds", "cpu_seconds", "peak_rss_mb")
            row: dict[str, Any] = {key: median(run[key] for run in done[system.title]) for key in keys}
            row |= {
                "ratio": row["run_seconds"] / median(run["run_seconds"] for run in own),
                "whole_ratio": row["whole_seconds"] / median(run["whole_seconds"] for run in own),
            }
            rows.append({"system": system.title, "rounds": count} | row | _detects(system, unseen, test))
    return {"images": len(train), "rows": rows, "rounds": done}


def _detects(system: Nightglass | Anomalib, images: Path, test: list[Cell]) -> dict[str, float]:
    scores = system.score(images)
    is_defect = np.array([cell.label == "defect" for cell in test])
    return image_figures(is_defect, np.array([scores[cell.name] for cell in test]))


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of nightglass")
    parser.add_argument("--peer-rounds", type=int, default=1, help="of anomalib; 0 leaves it out")
    parser.add_argument("--limit", type=int, help="only so many cells of each split, for trying out")
    options = parser.parse_args()
    split = split_cells()
    train, test = thin_out(split.train, options.limit), thin_out(split.test, options.limit)
    results = compare(train, test, options.rounds, options.peer_rounds)
    print(f"\n### Fit on {results['images']:,} good cells\n\n{table(results['rows'], _COLUMNS)}")
    write_results("fit", results, is_trial=options.limit is not None)


if __name__ == "__main__":
    run_main(main)
