"""Fine-tuning: reproducible, keeps its best epoch, changes nothing where nothing gains, and leaves torch as it was."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from nightglass.collections import Backbone, Collection, default_collection
from nightglass.detector.files import load_detector, read_description
from nightglass.detector.network import EmbeddingNetwork
from nightglass.detector.torchvision_cpu import allow_torchvision_without_cuda
from nightglass.engine import finetuning
from nightglass.engine.finetuning import Finetuned, finetune
from nightglass.engine.finetuning_batches import TuningImages
from nightglass.engine.fit import Fitted, fit_detector
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.training import TrainingImages
from nightglass.engine.training_record import record_training
from nightglass.errors import ModelError
from nightglass.images.manifest import Manifest, build_manifest
from nightglass.models import FoundModel
from nightglass.records import ModelRef
from nightglass.retraining.reproduction import reproduce
from nightglass.storage import Folder, open_folder
from tests.conftest import draw_panel, png_with_size
from tests.unit.retraining.proving import draw_stained

WORKERS = 2
GOOD, DEFECTS = 60, 20
STAIN = 4  # grey levels: a network that is not tuned to it hardly finds it


@dataclass(frozen=True)
class Panels:
    """Good and defect panels, and a collection with a tiny network of random weights for them."""

    images: Folder
    manifest: Manifest
    training: TrainingImages
    collection: Collection

    def network(self) -> EmbeddingNetwork:
        return EmbeddingNetwork(self.collection.detector.backbone).eval()

    def tune(self, network: EmbeddingNetwork, workers: int = WORKERS) -> Finetuned:
        return finetune(network, self.images, self.training, self.collection, workers)

    def fit(self, out: Path, *, is_finetuned: bool = True) -> Fitted:
        record = record_training(self.images, self.manifest, self.training)
        return fit_detector(
            self.images, self.manifest, self.training, self.collection, out,
            record=record, workers=WORKERS, times=StageTimes(), is_finetuned=is_finetuned,
        )  # fmt: skip


def write_weights(name: str, folder: Path) -> str:
    allow_torchvision_without_cuda()
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        file = folder / f"{name}.safetensors"
        safetensors.torch.save_file(timm.create_model(name).state_dict(), file)
    return str(file)


def collect(weights: str, name: str = "test_resnet", stages: tuple[int, ...] = (4,)) -> Collection:
    collection = default_collection("panels")
    backbone = Backbone(name=name, weights=weights, image_size=64, stages=stages, patch_stages=(stages[0] - 1,))
    changes = {"precision": "auto", "patch_bank_size": 1000, "backbone": backbone}
    return collection.model_copy(update={"detector": collection.detector.model_copy(update=changes)})


@pytest.fixture(scope="module")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Panels:
    folder = tmp_path_factory.mktemp("tuning")
    collection = collect(write_weights("test_resnet", folder))
    (folder / "images").mkdir()
    for seed in range(GOOD + DEFECTS):
        kind = "good" if seed < GOOD else "defect"
        (draw_panel(seed) if kind == "good" else draw_stained(seed, STAIN)).save(
            folder / "images" / f"{kind}-{seed:03d}.png"
        )
    draw_panel(500).save(folder / "images/good-broken.png")
    draw_stained(501, STAIN).save(folder / "images/defect-cut.png")
    images = open_folder(folder / "images")
    manifest = build_manifest(images, collection.suffixes, collection.scoring, workers=WORKERS)
    # Other files than those that were listed: a bomb, and a part.
    (folder / "images/defect-cut.png").write_bytes((folder / "images/defect-cut.png").read_bytes()[:2000])
    (folder / "images/good-broken.png").write_bytes(png_with_size(30_000, 30_000))
    rows = manifest.image_rows()
    training = TrainingImages.sort(rows, {row.path: "defect" for row in rows if row.path.startswith("defect")})
    return Panels(images, manifest, training, collection)


def weights_of(network: EmbeddingNetwork) -> dict[str, np.ndarray]:
    return {name: values.numpy().copy() for name, values in network.backbone.state_dict().items()}


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name for name, values in before.items() if not np.array_equal(values, after[name])}


@pytest.fixture(scope="module")
def tuned(panels: Panels) -> tuple[EmbeddingNetwork, Finetuned]:
    network = panels.network()
    return network, panels.tune(network)


def test_only_the_deepest_stage_learns_and_no_statistics_of_batchnorm_move(
    panels: Panels, tuned: tuple[EmbeddingNetwork, Finetuned]
) -> None:
    network, done = tuned
    names = changed(weights_of(panels.network()), weights_of(network))
    assert done.record.best_epoch > 0
    assert names
    assert all(name.startswith("layer4.") for name in names)
    assert not [name for name in names if "running" in name or "batches" in name]


def test_the_best_epoch_on_held_out_images_is_kept(
    panels: Panels, tuned: tuple[EmbeddingNetwork, Finetuned], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tuned[1].record
    held_out = [epoch.held_out_auroc for epoch in record.epochs]
    assert held_out[record.best_epoch] == max(held_out)
    assert held_out[record.best_epoch] >= held_out[0] + record.least_gain
    assert record.epochs[0].training_loss is None
    assert all(epoch.training_loss is not None for epoch in record.epochs[1:])
    assert len(record.epochs) - 1 <= min(record.max_epochs, record.best_epoch + record.patience)
    # The epochs after the best one change nothing of it.
    assert len(record.epochs) - 1 > record.best_epoch
    monkeypatch.setattr(finetuning, "_MAX_EPOCHS", record.best_epoch)
    network = panels.network()
    panels.tune(network)
    assert not changed(weights_of(tuned[0]), weights_of(network))


def test_no_image_is_both_learned_from_and_held_out_and_broken_ones_are_in_neither(
    panels: Panels, tuned: tuple[EmbeddingNetwork, Finetuned]
) -> None:
    done = tuned[1]
    assert (done.record.good_images, done.record.labelled_defects) == (48, 15)
    assert done.record.held_out_images == 12 + 12 + 5
    assert len(done.learned_from) == 48
    assert done.learned_from < {row.sha256 for row in panels.training.good}


@pytest.mark.parametrize(("labelled", "held_out"), [(0, 0), (8, 0), (17, 0), (20, 5), (40, 10)])
def test_labelled_defects_are_held_out_where_there_are_enough_to_measure_on(labelled: int, held_out: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    divided = TuningImages.divide(images, images[:labelled], [str(number) for number in range(60)], seed=0)
    assert (len(divided.defects), len(divided.held_out_defects)) == (labelled - held_out, held_out)
    assert (len(divided.good), len(divided.held_out_good), len(divided.held_out_drawn)) == (48, 12, 12)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_images_give_the_same_weights_with_any_number_of_workers(
    panels: Panels, tuned: tuple[EmbeddingNetwork, Finetuned], workers: int
) -> None:
    network = panels.network()
    torch.manual_seed(workers)
    again = panels.tune(network, workers)
    assert again == tuned[1]
    assert not changed(weights_of(tuned[0]), weights_of(network))


def test_another_seed_gives_other_weights(panels: Panels, tuned: tuple[EmbeddingNetwork, Finetuned]) -> None:
    options = panels.collection.detector.model_copy(update={"seed": 1})
    other, network = (
        replace(panels, collection=panels.collection.model_copy(update={"detector": options})),
        panels.network(),
    )
    other.tune(network)
    assert changed(weights_of(tuned[0]), weights_of(network))


def test_torch_is_as_it_was(panels: Panels) -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.benchmark,
            torch.get_rng_state().tolist(),
        )  # fmt: skip

    network, threads = panels.network(), torch.get_num_threads()
    torch.set_num_threads(2)  # another number than the one it computes with
    before, _, after = state(), panels.tune(network), state()
    torch.set_num_threads(threads)
    assert after == before


def test_weights_stay_where_nothing_gains(panels: Panels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(finetuning, "_LEAST_GAIN", 1.0)
    network = panels.network()
    done = panels.tune(network)
    assert done.record.best_epoch == 0
    assert len(done.record.epochs) == 1 + done.record.patience
    assert not changed(weights_of(panels.network()), weights_of(network))
    # Then nothing was learned from any image, and all of them calibrate.
    assert not done.learned_from
    fitted = panels.fit(tmp_path / "tuned").description
    plain = panels.fit(tmp_path / "plain", is_finetuned=False).description
    assert fitted.calibration == plain.calibration
    assert fitted.files["backbone.safetensors"] == plain.files["backbone.safetensors"]


def test_an_epoch_that_diverges_ends_it_and_the_weights_stay(
    panels: Panels, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(finetuning, "_LEARNING_RATE", 1e30)
    network = panels.network()
    # What ran before in this process may have set another level.
    with caplog.at_level(logging.WARNING, logger="nightglass"):
        done = panels.tune(network)
    assert done.record.best_epoch == 0
    assert "diverged; the weights of epoch 0 stay" in caplog.text
    assert not changed(weights_of(panels.network()), weights_of(network))


def test_every_epoch_is_one_line_of_the_log(panels: Panels, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="nightglass"):
        done = panels.tune(panels.network())
    lines = [record.getMessage() for record in caplog.records if "epoch" in record.getMessage()]
    assert len([line for line in lines if line.startswith("fine-tuning: epoch")]) == len(done.record.epochs)
    assert f"epoch 1 of at most {done.record.max_epochs}, loss " in lines[1]


def test_a_tuned_detector_says_so_and_calibrates_on_what_it_did_not_learn_from(
    panels: Panels, tuned: tuple[EmbeddingNetwork, Finetuned], tmp_path: Path
) -> None:
    fitted = panels.fit(tmp_path / "detector")
    description = read_description(tmp_path / "detector")
    assert description == fitted.description
    assert description.finetuning == tuned[1].record
    assert description.options.backbone.weights == panels.collection.detector.backbone.weights
    assert description.calibration.num_images == 12
    assert (fitted.images, fitted.quarantined) == (GOOD, 2)
    saved = safetensors.torch.load_file(tmp_path / "detector/backbone.safetensors")
    assert not changed(weights_of(tuned[0]), {name: values.numpy() for name, values in saved.items()})
    again = panels.fit(tmp_path / "again")
    assert again.description.fingerprint == description.fingerprint
    assert panels.fit(tmp_path / "plain", is_finetuned=False).description.fingerprint != description.fingerprint


def test_it_is_built_again_from_its_record_or_told_what_differs(
    panels: Panels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels.fit(tmp_path / "detector")
    found = FoundModel(load_detector(tmp_path / "detector"), ModelRef(name="panels", version="1"))
    # The collection's file may ask for something else by now.
    assert panels.collection.retraining.adapt == "head"
    same = reproduce(found, panels.collection, storage_options=None, workers=1)
    assert (same.identical, same.differences, same.max_score_difference) == (True, [], 0)
    monkeypatch.setattr(finetuning, "_LEARNING_RATE", 1e-3)
    other = reproduce(found, panels.collection, storage_options=None, workers=1)
    assert not other.identical
    assert "fine-tuned otherwise: learning rate 0.0003, here 0.001" in other.differences[0]
    assert "other content in arrays.safetensors, backbone.safetensors, bank.faiss" in other.differences[-1]


def test_black_images_are_no_reason_to_fail(panels: Panels, tmp_path: Path) -> None:
    from PIL import Image

    for number in range(60):
        Image.new("L", (64 + number, 64)).save(tmp_path / f"{number:02d}.png")
    images = open_folder(tmp_path)
    manifest = build_manifest(images, panels.collection.suffixes, panels.collection.scoring, workers=WORKERS)
    training = TrainingImages.sort(manifest.image_rows(), {})
    network = panels.network()
    finetune(network, images, training, panels.collection, WORKERS)
    assert all(np.isfinite(values).all() for values in weights_of(network).values())


def test_too_few_good_images_are_refused_in_one_line(panels: Panels) -> None:
    good = [row for row in panels.training.good if "broken" not in row.path][:49]
    few = replace(panels, training=replace(panels.training, good=good))
    with pytest.raises(ModelError, match="expected at least 50 good images that can be decoded for 'finetune', got 49"):
        few.tune(few.network())


@pytest.mark.parametrize(
    ("name", "stages", "got"),
    [("test_vit", (1,), "got VisionTransformer"), ("test_resnet", (0,), "its first stage only")],
)
def test_a_network_that_cannot_be_divided_is_refused_in_one_line(
    panels: Panels, tmp_path: Path, name: str, stages: tuple[int, ...], got: str
) -> None:
    backbone = Backbone(
        name=name, weights=write_weights(name, tmp_path), image_size=160, stages=stages, patch_stages=stages
    )
    options = panels.collection.detector.model_copy(update={"backbone": backbone})
    odd = replace(panels, collection=panels.collection.model_copy(update={"detector": options}))
    with pytest.raises(ModelError, match=got) as caught:
        odd.tune(odd.network())
    assert "\n" not in str(caught.value)
