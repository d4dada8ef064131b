import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nightglass.collections import Backbone
from nightglass.detector.backbone import load_backbone, read_weights
from nightglass.detector.network import EmbeddingNetwork
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
