from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nightglass.collections import Backbone, Collection, DetectorOptions, default_collection
from nightglass.detector.agreement import MIN_AGREEMENT, CheckImages, measure_agreement
from nightglass.detector.backends import OpenVINOBackend
from nightglass.detector.files import load_detector
from nightglass.detector.network import EmbeddingNetwork, export_openvino
from nightglass.detector.quantization import quantize_network
from nightglass.detector.silent_openvino import import_openvino
from nightglass.engine import precision
from nightglass.engine.fit import Fitted, fit_detector
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.training import TrainingImages
from nightglass.engine.training_record import record_training
from nightglass.images.manifest import build_manifest
from nightglass.storage import open_folder
from tests.conftest import draw_panel, write_panels

SIZE = 64
PANELS = np.stack([np.asarray(draw_panel(seed).convert("RGB").resize((SIZE, SIZE))) for seed in range(40)])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "network.xml"
    export_openvino(EmbeddingNetwork(Backbone(image_size=SIZE)), SIZE, path)
    return path


def collection(asked: str = "int8") -> Collection:
    options = DetectorOptions.model_validate({"backbone": {"image_size": SIZE}, "precision": asked})
    return default_collection().model_copy(update={"detector": options})


def fit(images: Path, out: Path, asked: Collection) -> Fitted:
    folder = open_folder(images)
    manifest = build_manifest(folder, asked.suffixes, asked.scoring, workers=2)
    training = TrainingImages.sort(manifest.image_rows(), {})
    record = record_training(folder, manifest, training)
    return fit_detector(folder, manifest, training, asked, out, record=record, workers=2, times=StageTimes())


def has_int8_weights(convolution: Any) -> bool:
    op = convolution.input_value(1).get_node()
    while op.get_type_name() != "Constant":
        op = op.input_value(0).get_node()
    return str(op.get_element_type().to_string()) == "i8"


def test_the_first_block_stays_and_all_other_convolutions_are_quantized(
    network: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quantize_network(network, PANELS[:12], tmp_path / "int8.xml")
    assert capfd.readouterr() == ("", "")
    model = import_openvino().Core().read_model(tmp_path / "int8.xml")
    convolutions = [op for op in model.get_ordered_ops() if op.get_type_name() in {"Convolution", "GroupConvolution"}]
    assert [has_int8_weights(op) for op in convolutions] == [False] * 3 + [True] * 45
    assert (tmp_path / "int8.bin").stat().st_size < network.with_suffix(".bin").stat().st_size / 2


def test_a_network_agrees_with_itself_and_not_with_a_broken_one(network: Path, tmp_path: Path) -> None:
    images, options = CheckImages.draw(PANELS, seed=0), DetectorOptions(backbone=Backbone(image_size=SIZE))
    one = OpenVINOBackend(network, 2)
    assert measure_agreement(one, one, images, options, 2) == pytest.approx(1.0)
    black = np.zeros((4, SIZE, SIZE, 3), np.uint8)  # calibrated on what no image looks like
    quantize_network(network, black, tmp_path / "int8.xml")
    assert measure_agreement(one, OpenVINOBackend(tmp_path / "int8.xml", 2, "int8"), images, options, 2) < 0.9


def test_defects_are_drawn_anew_into_copies_of_the_second_half() -> None:
    before = PANELS.copy()
    images = CheckImages.draw(PANELS, seed=3)
    np.testing.assert_array_equal(PANELS, before)
    assert (len(images.bank), len(images.queries)) == (20, 120)
    changed = [(images.queries[20 + i] != PANELS[20 + i % 20]).any(axis=2).mean() for i in range(100)]
    assert min(changed) > 0
    assert max(changed) < 0.2
    np.testing.assert_array_equal(CheckImages.draw(PANELS, seed=3).queries, images.queries)


def test_int8_that_ranks_otherwise_is_refused_and_the_detector_is_the_one_without_it(tmp_path: Path) -> None:
    """Panels are so alike that rounding to 8 bits reorders them."""
    images = write_panels(tmp_path / "images", range(24))
    refused, plain = fit(images, tmp_path / "int8", collection()), fit(images, tmp_path / "auto", collection("auto"))
    assert refused.int8_agreement is not None
    assert 0 < refused.int8_agreement < MIN_AGREEMENT
    assert plain.int8_agreement is None
    assert refused.description.precision == plain.description.precision == "auto"
    for name in ("network.bin", "bank.faiss", "patch_bank.faiss", "arrays.safetensors"):
        assert refused.description.files[name] == plain.description.files[name]
    assert not list((tmp_path / "int8").glob("quantized*"))


def test_a_kept_int8_network_is_the_detectors_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MIN_AGREEMENT", 0.5)
    images = write_panels(tmp_path / "images", range(24))
    kept, again = (fit(images, tmp_path / name, collection()).description for name in ("a", "b"))
    assert kept.precision == "int8"
    assert kept.fingerprint == again.fingerprint
    assert kept.fingerprint != kept.model_copy(update={"precision": "auto"}).fingerprint
    detector = load_detector(tmp_path / "a")
    backend = detector.open_backend(1)
    assert backend.name == "openvino-int8"
    panels = [draw_panel(seed, is_defect=seed >= 908).convert("RGB").resize((SIZE, SIZE)) for seed in range(900, 916)]
    scores = detector.score(backend.embed(np.stack([np.asarray(panel) for panel in panels]))).image_score
    assert scores[:8].max() < scores[8:].min()
