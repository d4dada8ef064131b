"""Run ``nightglass fit`` and ``nightglass score`` as processes of their own, and read what they wrote."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import Measured, bench_home, run_measured


@dataclass(frozen=True)
class Run:
    """One system's run over a folder.

    ``run_seconds`` is its work without interpreter start and imports; ``measured`` is the whole process.
    """

    images: int
    run_seconds: float
    measured: Measured
    told: dict[str, Any]

    @property
    def images_per_second(self) -> float:
        """Images per second of work."""
        return self.images / self.run_seconds

    def figures(self) -> dict[str, Any]:
        """Return the figures that the tables are made from."""
        return {
            "images": self.images,
            "images_per_second": self.images_per_second,
            "run_seconds": self.run_seconds,
            "whole_images_per_second": self.images / self.measured.seconds,
            "whole_seconds": self.measured.seconds,
            "cpu_seconds": self.measured.cpu_seconds,
            "cpu_ms_per_image": 1000 * self.measured.cpu_seconds / self.images,
            "peak_rss_mb": self.measured.peak_rss_bytes / 1e6,
        }


def peer_run(measured: Measured) -> Run:
    """Return what a peer's script told."""
    told = measured.last_json()
    return Run(told["images"], told["run_seconds"], measured, told)


def fit(images: Path, model: Path, *, labels: Path | None = None, collection: Path | None = None) -> Run:
    """Fit a detector anew into the folder ``model``."""
    shutil.rmtree(model, ignore_errors=True)
    arguments: list[object] = ["--images", images, "--out", model]
    arguments += ["--labels", labels] if labels else []
    return _run("fit", [*arguments, *_collection(collection)])


def score(images: Path, model: Path, out: Path, *, top_k: int | None = None, collection: Path | None = None) -> Run:
    """Score a folder anew into the folder ``out``."""
    shutil.rmtree(out, ignore_errors=True)
    arguments: list[object] = ["--images", images, "--model", model, "--out", out]
    arguments += ["--top-k", str(top_k)] if top_k else []
    return _run("score", [*arguments, *_collection(collection)])


def read_scores(out: Path) -> dict[str, float]:
    """Return the image score of each path of a score folder."""
    import pyarrow.parquet as pq

    table = pq.read_table(out / "scores.parquet", columns=["path", "image_score"])
    return dict(zip(table["path"].to_pylist(), table["image_score"].to_pylist(), strict=True))


def write_collection(name: str, sections: dict[str, Any]) -> Path:
    """Write a collection's file with the given sections, everything else left at its default."""
    path = bench_home() / f"{name}.yaml"
    whole = {"name": name, "images": "{night}", "schedule": None, **sections}
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return path


def _collection(path: Path | None) -> list[object]:
    return ["--collection", path] if path else []


def _run(command: str, arguments: Sequence[object]) -> Run:
    process = [sys.executable, "-m", "benchmarks.nightglass_process", command, *arguments, "--json"]
    # Nothing of another model's registry or database is looked at.
    measured = run_measured(process, env=os.environ | {"NIGHTGLASS_HOME": str(bench_home())})
    told: dict[str, Any] = {}
    for line in measured.stdout.splitlines():
        if line.startswith("{"):
            told |= json.loads(line)
    return Run(told["images"], told["run_seconds"], measured, told)
