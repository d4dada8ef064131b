"""anomalib's PatchCore, visualizer off: ``fit`` on a folder of good images, ``predict`` on a folder.

``python -m benchmarks.peers.anomalib_patchcore fit --images DIR --model FILE --coreset 0.001``
``python -m benchmarks.peers.anomalib_patchcore predict --images DIR --model FILE --scores CSV``
"""

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.packaged import BACKBONE, load_packaged_backbone

LAYERS = ("blocks.2", "blocks.4")
IMAGE_SIZE = 224
BATCH_SIZE = 32


def build_model(coreset: float) -> Any:
    """Return an unfitted PatchCore on the packaged backbone."""
    from anomalib.models import Patchcore

    size = (IMAGE_SIZE, IMAGE_SIZE)
    model = Patchcore(
        backbone=BACKBONE,
        layers=LAYERS,
        pre_trained=False,
        coreset_sampling_ratio=coreset,
        pre_processor=Patchcore.configure_pre_processor(image_size=size),
        visualizer=False,
    )
    network = model.model.feature_extractor.feature_extractor
    weights = load_packaged_backbone().state_dict()
    missing = network.load_state_dict({name: weights[name] for name in network.state_dict()}).missing_keys
    if missing:
        raise SystemExit(f"expected weights for every tensor of {BACKBONE}, got none for {missing[:3]}")
    return model


def fit(options: argparse.Namespace) -> dict[str, Any]:
    """Fit on every image of the folder and save the model."""
    import torch
    from anomalib.data import Folder
    from anomalib.engine import Engine

    start = time.perf_counter()
    model = build_model(options.coreset)
    images = Folder(
        name="good",
        normal_dir=options.images,
        train_batch_size=BATCH_SIZE,
        num_workers=options.workers,
        test_split_mode="none",
        val_split_mode="none",
    )
    with tempfile.TemporaryDirectory() as work:
        engine = Engine(default_root_dir=work, logger=False, enable_progress_bar=False, limit_val_batches=0)
        engine.fit(model=model, datamodule=images)
    torch.save(model.state_dict(), options.model)
    seconds = time.perf_counter() - start
    return {"images": len(images.train_data), "run_seconds": seconds, "bank_patches": len(model.model.memory_bank)}


def predict(options: argparse.Namespace) -> dict[str, Any]:
    """Score every image of the folder, batch by batch, and write the scores."""
    import torch
    from anomalib.data import PredictDataset
    from anomalib.engine import Engine
    from lightning.pytorch.callbacks import Callback
    from torch.utils.data import DataLoader

    rows: list[tuple[str, float]] = []

    class Collect(Callback):
        """Keeps the scores only: predictions as anomalib returns them hold every image and map in memory."""

        def on_predict_batch_end(self, _trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
            rows.extend(zip(outputs.image_path, outputs.pred_score.flatten().tolist(), strict=True))

    start = time.perf_counter()
    model = build_model(coreset=0.1)
    model.load_state_dict(torch.load(options.model, weights_only=True))
    dataset = PredictDataset(options.images, image_size=(IMAGE_SIZE, IMAGE_SIZE))
    loader = DataLoader(
        dataset, batch_size=BATCH_SIZE, num_workers=options.workers, collate_fn=dataset.collate_fn, shuffle=False
    )
    with tempfile.TemporaryDirectory() as work:
        engine = Engine(default_root_dir=work, logger=False, enable_progress_bar=False, callbacks=[Collect()])
        engine.predict(model=model, dataloaders=loader, return_predictions=False)
    with options.scores.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "image_score"), *rows])
    return {"images": len(rows), "run_seconds": time.perf_counter() - start}


def main() -> None:
    """Fit or predict, and print the seconds from after the imports to the end."""
    parser = argparse.ArgumentParser()
    steps = parser.add_subparsers(required=True)
    for step in (fit, predict):
        command = steps.add_parser(step.__name__)
        command.set_defaults(step=step)
        command.add_argument("--images", type=Path, required=True)
        command.add_argument("--model", type=Path, required=True)
        command.add_argument("--workers", type=int, required=True)
    steps.choices["fit"].add_argument("--coreset", type=float, required=True)
    steps.choices["predict"].add_argument("--scores", type=Path, required=True)
    options = parser.parse_args()
    load_packaged_backbone()
    import anomalib.engine
    import anomalib.models  # noqa: F401  what is imported is not timed

    print(json.dumps(options.step(options)))


if __name__ == "__main__":
    main()
