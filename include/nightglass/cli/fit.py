"""``nightglass fit``."""

import time
from pathlib import Path
from typing import Any

import click

from nightglass.cli.common import choose_collection, collection_option, json_option, print_result, showing_progress


@click.command()
@click.option("--images", required=True, help="Folder or s3:// address of known-good images.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder that the detector is written to.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="CSV path,label (defect or normal): the detector learns from them; defects stay out of the memory bank.",
)
@collection_option
@click.option("--register", is_flag=True, help="Register it in MLflow; the first version becomes champion.")
@json_option
def fit(
    *, images: str, out: Path, labels: Path | None, collection_file: Path | None, register: bool, as_json: bool
) -> None:
    """Fit a detector on known-good images."""
    from nightglass.engine.fit import fit_detector
    from nightglass.engine.stage_times import StageTimes, count_workers
    from nightglass.engine.training import TrainingImages
    from nightglass.engine.training_record import record_training
    from nightglass.images.labels import count_unknown_labels, read_labels
    from nightglass.images.manifest import build_manifest
    from nightglass.models import register_fitted
    from nightglass.settings import read_settings
    from nightglass.storage import open_folder

    collection = choose_collection(collection_file)
    known = read_labels(labels) if labels else {}
    start = time.perf_counter()
    workers, times, folder = count_workers(), StageTimes(), open_folder(images)
    with showing_progress() as bars:
        with times.measure("list"):
            manifest = build_manifest(
                folder,
                collection.suffixes,
                collection.scoring,
                workers=workers,
                progress=lambda done, total: bars("list", done, total),
            )
        readable = manifest.image_rows()
        labels_without_image = count_unknown_labels(known, manifest, labels)
        training = TrainingImages.sort(readable, known)
        total, done = len(training.good) + len(training.defects), 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            bars("fit", done, total)

        fitted = fit_detector(
            folder,
            manifest,
            training,
            collection,
            out,
            record=record_training(folder, manifest, training),
            workers=workers,
            times=times,
            progress=count,
        )
        version = register_fitted(out, fitted, collection, read_settings()) if register else None
    description = fitted.description
    result = {
        "images": len(manifest),
        "fitted": fitted.images,
        "labelled_defects": description.labelled_defects,
        "labelled_defects_given": len(training.defects),
        "labelled_normal": len(training.called_normal),
        "labels_without_image": labels_without_image,
        "quarantined": len(manifest) - len(readable) + fitted.quarantined,
        "image_threshold": description.calibration.image_threshold,
        "false_alarm_rate": description.calibration.false_alarm_rate,
        "data_version": description.data_version,
        "fingerprint": description.fingerprint,
        "backbone": collection.detector.backbone.name,
        "precision": description.precision,
        "int8_agreement": fitted.int8_agreement,
        "out": str(out),
        "model": collection.model_name if version else None,
        "version": version,
        "seconds": round(time.perf_counter() - start, 3),
        "stage_seconds": times.seconds(),
    }
    print_result(result, as_json=as_json, tell=_tell)


def _tell(result: dict[str, Any]) -> str:
    seconds, rate = f"{result['seconds']:.1f} s", f"{result['false_alarm_rate']:.2%}"
    lines = [
        f"fitted on {result['fitted']} of {result['images']} images in {seconds}; {result['quarantined']} quarantined",
        f"image threshold {result['image_threshold']:.3f} for {rate} false alarms",
        f"detector: {result['out']}",
    ]
    if result["labels_without_image"]:
        lines.insert(1, f"{result['labels_without_image']} labels are of no image in the folder")
    if given := result["labelled_defects_given"]:
        told = f"learned from {given} labelled defects"
        refused = f"{given} labelled defects refused: known images rank worse with what they say"
        lines.insert(1, told if result["labelled_defects"] else refused)
    if result["precision"] == "auto" and (agreement := result["int8_agreement"]) is not None:
        lines.insert(1, f"int8 refused: it ranks images otherwise (rank correlation {agreement:.3f})")
    if result["version"]:
        lines.append(f"registered: models:/{result['model']}/{result['version']}")
    return "\n".join(lines)
