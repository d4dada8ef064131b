"""Fitting with analysts' labels: what the head changes, keeps, and refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from nightglass.collections import Collection, default_collection
from nightglass.detector.detector import Detector
from nightglass.detector.files import load_detector, read_description
from nightglass.engine.fit import fit_detector
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.training import TrainingImages
from nightglass.engine.training_record import record_training
from nightglass.errors import InputError
from nightglass.images.labels import Label
from nightglass.images.manifest import Manifest, build_manifest
from nightglass.images.reading import ImageRow
from nightglass.storage import Folder, open_folder
from tests.conftest import draw_panel

WORKERS = 2
STAIN = 2  # grey levels


def unquantized() -> Collection:
    collection = default_collection()
    options = collection.detector.model_copy(update={"precision": "auto"})
    return collection.model_copy(update={"detector": options})


def list_folder(folder: Path) -> tuple[Folder, Manifest]:
    opened, collection = open_folder(folder), default_collection()
    return opened, build_manifest(opened, collection.suffixes, collection.scoring, workers=WORKERS)


def write_stained(folder: Path, seeds: range) -> None:
    """Panels with a faint wide stain: good images vary more in other ways, so that only a label tells it."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        panel = np.asarray(draw_panel(seed)).astype(np.int16)
        panel[40:90, 30:100] += STAIN
        Image.fromarray(np.clip(panel, 0, 255).astype(np.uint8)).save(folder / f"stain-{seed:05d}.png")


def fit(folder: Path, labels: dict[str, Label], out: Path) -> Detector:
    images, manifest = list_folder(folder)
    training = TrainingImages.sort(manifest.image_rows(), labels)
    fit_detector(
        images, manifest, training, unquantized(), out,
        record=record_training(images, manifest, training), workers=WORKERS, times=StageTimes(),
    )  # fmt: skip
    return load_detector(out)


def score(detector: Detector, folder: Path) -> np.ndarray:
    images, manifest = list_folder(folder)
    options = unquantized().scoring
    backend = detector.open_backend(WORKERS)
    with Pipeline(images, backend, 192, options, workers=WORKERS, times=StageTimes()) as pipeline:
        batches = list(pipeline.embed(manifest.image_rows(), lambda batch: detector.score(batch.embedded).image_score))
    return np.concatenate(batches)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "images"
    write_stained(folder, range(900, 924))
    for seed in range(60):
        draw_panel(seed).save(folder / f"good-{seed:05d}.png")
    return folder


def test_labelled_defects_raise_the_scores_of_their_like_and_the_threshold_keeps_its_rate(
    training: Path, tmp_path: Path
) -> None:
    stains: dict[str, Label] = {path.name: "defect" for path in training.glob("stain-*")}
    taught = fit(training, {**stains, "good-00003.png": "normal"}, tmp_path / "taught")
    assert taught.label_head is not None
    assert read_description(tmp_path / "taught").labelled_defects == len(stains) == 24
    assert not any(path.startswith("stain") for path in taught.bank_paths)
    good_only = replace(taught, label_head=None)
    write_stained(tmp_path / "new-stains", range(1000, 1020))
    (tmp_path / "new-good").mkdir()
    for seed in range(2000, 2060):
        draw_panel(seed).save(tmp_path / "new-good" / f"{seed}.png")
    before, after = (score(detector, tmp_path / "new-stains") for detector in (good_only, taught))
    good_before, good_after = (score(detector, tmp_path / "new-good") for detector in (good_only, taught))
    is_stain = np.repeat([True, False], [20, 60])
    without = roc_auc_score(is_stain, np.concatenate([before, good_before]))
    assert without < 0.97  # else there is nothing to learn
    assert roc_auc_score(is_stain, np.concatenate([after, good_after])) > without + 0.01
    assert (good_after >= taught.calibration.image_threshold).mean() <= 0.1


def test_labels_of_normal_images_alone_change_nothing(training: Path, tmp_path: Path) -> None:
    labels: dict[str, Label] = {f"good-{seed:05d}.png": "normal" for seed in range(10)}
    taught, plain = fit(training, labels, tmp_path / "a"), fit(training, {}, tmp_path / "b")
    assert taught.label_head is None
    assert taught.fingerprint == plain.fingerprint


def test_the_same_labels_give_the_same_detector(training: Path, tmp_path: Path) -> None:
    labels: dict[str, Label] = {"stain-00900.png": "defect", "stain-00901.png": "defect"}
    assert fit(training, labels, tmp_path / "a").fingerprint == fit(training, labels, tmp_path / "b").fingerprint


def row(path: str, sha256: str) -> ImageRow:
    return ImageRow(path, path, 1, sha256)


def test_a_label_holds_for_every_copy_of_a_picture() -> None:
    rows = [row("a.png", "1"), row("copy-of-a.png", "1"), row("b.png", "2"), row("c.png", "3")]
    sorted_images = TrainingImages.sort(rows, {"copy-of-a.png": "defect", "b.png": "normal", "gone.png": "defect"})
    assert [image.path for image in sorted_images.defects] == ["a.png"]
    assert [image.path for image in sorted_images.good] == ["b.png", "c.png"]
    assert sorted_images.called_normal == {"2"}


def test_two_labels_for_one_picture_are_refused() -> None:
    rows = [row("a.png", "1"), row("copy-of-a.png", "1")]
    with pytest.raises(InputError, match=r"got defect for 'a.png' and normal for 'copy-of-a.png', which is the same"):
        TrainingImages.sort(rows, {"a.png": "defect", "copy-of-a.png": "normal"})


def test_what_an_analyst_called_normal_is_always_looked_at(training: Path, tmp_path: Path) -> None:
    images, manifest = list_folder(training)
    rows = [row for row in manifest.image_rows() if row.path.startswith("good")]
    labels: dict[str, Label] = {f"good-{seed:05d}.png": "normal" for seed in (3, 7)}
    collection = unquantized()
    few = collection.detector.model_copy(update={"max_bank_images": 12})
    collection = collection.model_copy(update={"detector": few})
    sorted_images = TrainingImages.sort(rows, labels)
    fit_detector(
        images, manifest, sorted_images, collection, tmp_path / "few",
        record=record_training(images, manifest, sorted_images), workers=WORKERS, times=StageTimes(),
    )  # fmt: skip
    detector = load_detector(tmp_path / "few")
    assert len(detector.bank_paths) == 12
    assert set(labels) <= set(detector.bank_paths)
