import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nightglass.collections import Backbone
from nightglass.detector.backbone import load_backbone, read_weights
from nightglass.detector.backends import OpenVINOBackend, TorchBackend
from nightglass.detector.network import STATISTICS, EmbeddingNetwork, export_openvino
from nightglass.errors import InputError, ModelError


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return EmbeddingNetwork(Backbone())


def test_an_unknown_backbone_names_near_ones() -> None:
    with pytest.raises(InputError, match="expected a timm model name, got 'tf_efficientnet_light0'; near: tf_effi"):
        load_backbone(Backbone(name="tf_efficientnet_light0"))


def test_weights_of_a_file_are_the_ones_that_were_saved(tmp_path: Path, network: EmbeddingNetwork) -> None:
    state = network.backbone.state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    torch.save(state, tmp_path / "weights.pth")
    for name in ("weights.safetensors", "weights.pth"):
        loaded = load_backbone(Backbone(weights=str(tmp_path / name))).state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "executed"), "w"))  # type: ignore[return-value]

    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Hostile()))
    torch.save({"weight": Hostile()}, tmp_path / "zip.pth")
    for name in ("weights.pth", "zip.pth"):
        with pytest.raises(ModelError, match="expected tensors only"):
            read_weights(str(tmp_path / name))
    assert not (tmp_path / "executed").exists()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="does not fit the network"):
        load_backbone(Backbone(weights=str(tmp_path / "weights.safetensors")))
    with pytest.raises(InputError, match="expected"):
        load_backbone(Backbone(weights=str(tmp_path / "missing.safetensors")))


def test_stages_that_the_backbone_lacks_are_refused() -> None:
    with pytest.raises(InputError, match="expected stages 0 to 4"):
        EmbeddingNetwork(Backbone(stages=(7,)))


def test_openvino_and_torch_give_the_same_numbers(tmp_path: Path, network: EmbeddingNetwork) -> None:
    export_openvino(network, 224, tmp_path / "network.xml")
    images = np.random.default_rng(0).integers(0, 255, (5, 224, 224, 3), dtype=np.uint8)
    fast, reference = OpenVINOBackend(tmp_path / "network.xml", 2), TorchBackend(network)
    ours, theirs = fast.embed(images, patches=True), reference.embed(images, patches=True)
    np.testing.assert_allclose(ours.embedding, theirs.embedding, atol=2e-3)
    np.testing.assert_allclose(ours.patches, theirs.patches, atol=2e-3)
    np.testing.assert_allclose(fast.embed(images).embedding, ours.embedding, atol=1e-4)
    # An image's numbers must not depend on which others share its batch.
    np.testing.assert_allclose(fast.embed(images[3:4]).embedding[0], ours.embedding[3], atol=1e-4)


def test_statistics_mean_what_their_names_say(network: EmbeddingNetwork) -> None:
    random = np.random.default_rng(0)
    flat = np.full((224, 224, 3), 100, np.uint8)
    noisy = np.repeat(random.integers(0, 255, (224, 224, 1), dtype=np.uint8), 3, axis=2)
    soft = np.repeat(np.linspace(0, 255, 224).astype(np.uint8)[None, :, None], 224, axis=0).repeat(3, axis=2)
    red = np.zeros((224, 224, 3), np.uint8)
    red[..., 0] = 200
    rows = TorchBackend(network).embed(np.stack([flat, noisy, soft, red])).statistics
    found = {name: rows[:, i] for i, name in enumerate(STATISTICS)}
    assert found["brightness"][0] == pytest.approx(100, abs=0.1)
    assert found["brightness"][3] == pytest.approx(0.299 * 200, abs=0.1)
    assert found["contrast"][0] == pytest.approx(0, abs=0.01)
    assert found["contrast"][1] == pytest.approx(noisy[..., 0].std(), rel=0.01)
    assert found["sharpness"][1] > 20 * found["sharpness"][2]
    assert found["colourfulness"][:3] == pytest.approx([0, 0, 0], abs=0.01)
    assert found["colourfulness"][3] == pytest.approx(0.3 * np.hypot(200, 100), rel=0.01)  # Hasler & Süsstrunk
