"""ELPV: good cells only, then with a few defects labelled by an analyst, over several random splits.

Good is defect probability 0, defect is 1; the uncertain cells are left out. Seed s draws the good cells to train on
with ``train_test_split(good, test_size=0.25, random_state=42 + s)`` and the labelled defects with a permutation seeded
by s; labelled defects never count in the test. A figure with labels is paired with that of the good-only detector on
the very same test cells. Cells of one module can fall on both sides of a split.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import product
from benchmarks.common import bench_home, table
from benchmarks.data import Cell, link_into, split_cells
from benchmarks.metrics import image_figures

CELL_TYPES = ("mono", "poly")
_FIGURES = {
    "auroc": "image AUROC",
    "average_precision": "AP",
    "recall_at_1pct_false_alarms": "recall at 1 % false alarms",
    "auroc_mono": "AUROC, mono",
    "auroc_poly": "AUROC, poly",
}


def measure(label_counts: Sequence[int], seeds: int, collection: Path | None = None) -> dict[str, Any]:
    """Fit and score for every seed and number of labelled defects; return all figures and the tables' rows."""
    runs: list[dict[str, Any]] = []
    for seed in range(seeds):
        split = split_cells(seed)
        defects = [cell for cell in split.test if cell.label == "defect"]
        order = np.random.default_rng(seed).permutation(len(defects))
        good_only = _scores(split.train, [], split.test, collection)
        for count in (0, *label_counts):
            labelled = [defects[i] for i in order[:count]]
            scores = _scores(split.train, labelled, split.test, collection) if count else good_only
            unseen = [cell for cell in split.test if cell not in labelled]
            figures = _figures(unseen, scores)
            paired = {"good_only": _figures(unseen, good_only)}
            runs.append({"seed": seed, "labelled_defects": count, **figures, **paired})
            print(f"seed {seed}, {count} labelled: AUROC {figures['auroc']:.4f}", file=sys.stderr)
    # Seed 0 without labels is the split that others publish on.
    published = {name: runs[0][name] for name in _FIGURES}
    return {"published_split": published, "rows": [_row(runs, count) for count in (0, *label_counts)], "runs": runs}


def show(results: dict[str, Any]) -> str:
    """Return the tables."""
    seeds = {run["seed"] for run in results["runs"]}
    columns = {
        "labelled_defects": "labelled defects",
        **_FIGURES,
        "good_only": "good-only AUROC, same cells",
        "gain": "gain, mean",
        "smallest_gain": "gain, worst seed",
    }
    return (
        f"\n### ELPV, good cells only, the published split (random_state 42)\n\n"
        f"{table([results['published_split']], _FIGURES)}\n\n"
        f"### ELPV, mean ± standard deviation of {len(seeds)} splits\n\n{table(results['rows'], columns)}"
    )


def _scores(good: list[Cell], labelled: list[Cell], test: list[Cell], collection: Path | None) -> dict[str, float]:
    """Fit on good cells and labelled defects with the command, score the test cells, return scores by file name."""
    model, out = bench_home() / "models/quality", bench_home() / "scores/quality"
    with TemporaryDirectory(dir=bench_home()) as place:
        train, unseen, labels = Path(place) / "train", Path(place) / "test", Path(place) / "labels.csv"
        link_into(train, [cell.file for cell in [*good, *labelled]])
        link_into(unseen, [cell.file for cell in test])
        with labels.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "label"), *((cell.name, "defect") for cell in labelled)])
        product.fit(train, model, labels=labels if labelled else None, collection=collection)
        product.score(unseen, model, out, collection=collection)
    return product.read_scores(out)


def _figures(cells: list[Cell], scores: dict[str, float]) -> dict[str, float]:
    is_defect = np.array([cell.label == "defect" for cell in cells])
    image_score = np.array([scores[cell.name] for cell in cells])
    figures = image_figures(is_defect, image_score)
    for cell_type in CELL_TYPES:
        chosen = np.array([cell.cell_type == cell_type for cell in cells])
        figures[f"auroc_{cell_type}"] = image_figures(is_defect[chosen], image_score[chosen])["auroc"]
    return figures


def _row(runs: list[dict[str, Any]], count: int) -> dict[str, Any]:
    chosen = [run for run in runs if run["labelled_defects"] == count]
    row: dict[str, Any] = {"labelled_defects": count}
    for name in _FIGURES:
        values = np.array([run[name] for run in chosen])
        row[name] = f"{values.mean():.4f} ± {values.std():.4f}"
    gains = [run["auroc"] - run["good_only"]["auroc"] for run in chosen]
    row["good_only"] = f"{np.mean([run['good_only']['auroc'] for run in chosen]):.4f}"
    row |= {"gain": f"{np.mean(gains):+.4f}", "smallest_gain": f"{min(gains):+.4f}"} if count else {}
    return row
