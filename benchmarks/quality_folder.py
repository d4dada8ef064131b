"""A folder ``good/ bad/ [masks/]``: fit on some good images drawn by a seed, test on the rest, over several seeds.

A mask has the name of its image in ``bad/`` and is non-zero where the defect is. Anomaly maps are those that
`nightglass score --top-k` writes, brought to the mask's size; pixel figures count the good test images, and the bad
ones that have a mask.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import product
from benchmarks.common import BenchmarkError, bench_home, table
from benchmarks.data import link_into, list_images
from benchmarks.metrics import image_figures, pixel_figures

_MAX_TEST_IMAGES = 1000  # as many maps as `nightglass score` writes
_BRIGHTEST = 255
_FIGURES = {
    "auroc": "image AUROC",
    "average_precision": "AP",
    "recall_at_1pct_false_alarms": "recall at 1 % false alarms",
    "pixel_auroc": "pixel AUROC",
    "pro": "PRO, to 0.3 false positives",
}


def measure(folder: Path, train_images: int, seeds: int, collection: Path | None = None) -> dict[str, Any]:
    """Fit and score for every seed; return all figures and the table's rows.

    Raises:
        BenchmarkError: The folder has not what it takes.
    """
    good, bad = (list_images(folder / name) for name in ("good", "bad"))
    if len(good) <= train_images or not bad:
        expected = f"more than {train_images} images in good/ and some in bad/"
        raise BenchmarkError(f"{folder}: expected {expected}, got {len(good)} and {len(bad)}")
    if len(good) - train_images + len(bad) > _MAX_TEST_IMAGES:
        raise BenchmarkError(f"{folder}: expected at most {_MAX_TEST_IMAGES} test images, of which maps are written")
    runs = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(good))
        train, unseen = ([good[i] for i in part] for part in np.split(order, [train_images]))
        runs.append({"seed": seed, **_measure_once(folder, train, unseen, bad, collection)})
        print(f"seed {seed}: {runs[-1]}", file=sys.stderr)
    return {"folder": folder.resolve().name, "train": train_images, "rows": _rows(runs), "runs": runs}


def show(results: dict[str, Any]) -> str:
    """Return the table."""
    columns = {"seed": "seed"} | {name: title for name, title in _FIGURES.items() if name in results["runs"][0]}
    return f"\n### {results['folder']}, fitted on {results['train']} good images\n\n{table(results['rows'], columns)}"


def _measure_once(
    folder: Path, train: list[Path], good: list[Path], bad: list[Path], collection: Path | None
) -> dict[str, float]:
    model, out = bench_home() / "models/quality-folder", bench_home() / "scores/quality-folder"
    with TemporaryDirectory(dir=bench_home()) as place:
        link_into(Path(place) / "train", train)
        link_into(Path(place) / "test/good", good)
        link_into(Path(place) / "test/bad", bad)
        product.fit(Path(place) / "train", model, collection=collection)
        images = len(good) + len(bad)
        product.score(Path(place) / "test", model, out, top_k=images, collection=collection)
    scores = product.read_scores(out)
    is_defect = np.array([path.startswith("bad/") for path in scores])
    figures = image_figures(is_defect, np.array(list(scores.values())))
    if (folder / "masks").is_dir():
        maps, masks = _read_maps(out, {mask.stem: mask for mask in list_images(folder / "masks")})
        figures |= pixel_figures(maps, masks)
        # A map ends at the brightest grey; beyond it nothing tells one place from another.
        figures["saturated_share"] = float(np.mean([(grey == _BRIGHTEST).mean() for grey in maps]))
    return figures


def _read_maps(out: Path, masks: dict[str, Path]) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.bool_]]]:
    maps, truths = [], []
    for entry in json.loads((out / "top_anomalies.json").read_text(encoding="utf-8"))["top_anomalies"]:
        kind, name = Path(entry["path"]).parts[0], Path(entry["path"]).stem
        if kind == "bad" and name not in masks:
            continue
        with Image.open(out / entry["anomaly_map"]) as grey:
            if kind == "good":
                maps.append(np.asarray(grey))
                truths.append(np.zeros(maps[-1].shape, bool))
                continue
            with Image.open(masks[name]) as mask:
                truths.append(np.asarray(mask.convert("L")) > 0)
                maps.append(np.asarray(grey.resize(mask.size, Image.Resampling.BILINEAR)))
    return maps, truths


def _rows(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [name for name in _FIGURES if name in runs[0]]
    rows = [{"seed": run["seed"]} | {name: f"{run[name]:.4f}" for name in names} for run in runs]
    values = {name: np.array([run[name] for run in runs]) for name in names}
    mean = {name: f"{value.mean():.4f} ± {value.std():.4f}" for name, value in values.items()}
    return [*rows, {"seed": "mean", **mean}]
