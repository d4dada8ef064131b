"""Small detectors and frozen panels that the proof is tried on."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from nightglass.collections import Collection, default_collection
from nightglass.detector.files import load_detector, read_description
from nightglass.engine.fit import fit_detector
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.training import TrainingImages
from nightglass.engine.training_record import record_training
from nightglass.images.labels import Label
from nightglass.images.manifest import build_manifest
from nightglass.images.reading import ImageRow
from nightglass.models import FoundModel
from nightglass.records import ModelRef
from nightglass.retraining.evaluation import evaluate_models
from nightglass.retraining.gates import judge
from nightglass.retraining.records import Evaluation, GateReport, TrainingFacts
from nightglass.storage import open_folder
from tests.conftest import draw_panel

WORKERS = 2


def small_collection(**backbone: int) -> Collection:
    """A collection whose detectors are fitted fast."""
    collection = default_collection("panels")
    options = collection.detector
    changes = {
        "precision": "auto",
        "patch_bank_size": 2000,
        "backbone": options.backbone.model_copy(update={"image_size": 96, **backbone}),
    }
    return collection.model_copy(update={"detector": options.model_copy(update=changes)})


def draw_stained(seed: int, depth: int) -> Image.Image:
    """A panel with a wide stain, ``depth`` grey levels darker."""
    pixels = np.asarray(draw_panel(seed)).astype(np.int16)
    x, y = np.random.default_rng(seed).integers(10, 60, 2)
    pixels[y : y + 40, x : x + 40] -= depth
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_images(folder: Path, good: range, stained: range, depth: int) -> Path:
    """Good and stained panels, by turns of two cameras, which are folders."""
    for place, seed in enumerate([*good, *stained]):
        file = folder / ("left" if place % 2 else "right") / f"{'bad' if seed in stained else 'good'}-{seed:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        (draw_stained(seed, depth) if seed in stained else draw_panel(seed)).save(file)
    return folder


def fit(
    folder: Path,
    out: Path,
    collection: Collection,
    label: Callable[[str], Label | None] = lambda path: "defect" if "bad" in path else None,
    at_most: int | None = None,
) -> FoundModel:
    """Fit a detector on ``folder``, with the labels that ``label`` gives its paths."""
    images = open_folder(folder)
    manifest = build_manifest(images, collection.suffixes, collection.scoring, workers=WORKERS)
    rows = sorted(manifest.image_rows(), key=lambda row: "bad" not in row.path)[:at_most]
    labels = {row.path: given for row in rows if (given := label(row.path))}
    training = TrainingImages.sort(rows, labels)
    record = record_training(images, manifest, training)
    fit_detector(images, manifest, training, collection, out, workers=WORKERS, times=StageTimes(), record=record)
    return find(out)


def find(folder: Path) -> FoundModel:
    """Load a detector's folder."""
    return FoundModel(load_detector(folder), ModelRef(name="panels", version=folder.name))


def write_anew(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of a detector and its sha256, as someone would who can write there."""
    (folder / name).write_bytes(content)
    description = json.loads((folder / "detector.json").read_text())
    description["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "detector.json").write_text(json.dumps(description))


@dataclass(frozen=True)
class Frozen:
    """Frozen images as the snapshot leaves them."""

    folder: Path
    table: pa.Table
    rows: list[ImageRow]

    @classmethod
    def of(cls, folder: Path, collection: Collection) -> "Frozen":
        """Take every image of a folder that `write_images` wrote."""
        manifest = build_manifest(open_folder(folder), collection.suffixes, collection.scoring, workers=WORKERS)
        rows = manifest.image_rows()
        is_bad = ["bad" in row.path for row in rows]
        table = pa.table(
            {
                "path": [row.path for row in rows],
                "label": pa.array(["defect" if bad else None for bad in is_bad], pa.string()),
                "presumed_good": [not bad for bad in is_bad],
                "slices": [[f"camera={row.path.split('/')[0]}"] for row in rows],
            }
        )
        return cls(folder, table, rows)

    def evaluate(self, champion: FoundModel, challenger: FoundModel, collection: Collection) -> Evaluation:
        """Measure both models on them."""
        images = open_folder(self.folder)
        return evaluate_models(images, self.table, self.rows, champion, challenger, collection, workers=WORKERS)


def facts_of(champion: FoundModel, challenger: FoundModel) -> TrainingFacts:
    """What the detectors themselves say of their training."""
    described = [read_description(model.detector.network_path.parent) for model in (champion, challenger)]
    return TrainingFacts(
        data_version=described[1].data_version,
        images=described[1].num_bank_images,
        defects=described[1].labelled_defects,
        called_normal=0,
        champion_images=described[0].num_bank_images,
        sources={"training": described[1].num_bank_images},
        left_out={},
    )


def prove(frozen: Frozen, champion: FoundModel, challenger: FoundModel, collection: Collection) -> GateReport:
    """Measure and judge."""
    evaluation = frozen.evaluate(champion, challenger, collection)
    return judge(evaluation, facts_of(champion, challenger), collection.retraining.gates)


def failed(report: GateReport) -> set[str]:
    """Names of the gates that a challenger did not pass."""
    return {gate.name for gate in report.gates if not gate.passed}
