"""The exported network: from 8-bit images to embeddings and patch embeddings.

Preprocessing is part of the network, so that every backend does it alike.
"""

from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from nightglass.collections import Backbone
from nightglass.detector.backbone import load_backbone
from nightglass.detector.silent_openvino import import_openvino
from nightglass.errors import InputError

OUTPUTS = ("embedding", "patches")


class EmbeddingNetwork(nn.Module):
    """Images ``(N, S, S, 3)`` uint8 RGB to embedding ``(N, D)`` and patches ``(N, C, h, w)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, options: Backbone) -> None:
        super().__init__()
        self.backbone = load_backbone(options)
        count = len(self.backbone.feature_info)  # type: ignore[arg-type]
        used = sorted({*options.stages, *options.patch_stages})
        if used[-1] >= count or used[0] < 0:
            raise InputError(f"backbone: expected stages 0 to {count - 1} of '{options.name}', got {used}")
        self.used = used
        self.stages = [used.index(stage) for stage in options.stages]
        self.patch_stages = [used.index(stage) for stage in sorted(options.patch_stages)]
        config = self.backbone.pretrained_cfg
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1) * 255)  # type: ignore[index]
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1) * 255)  # type: ignore[index]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return embedding and patch embedding of a batch."""
        pixels = images.permute(0, 3, 1, 2).float()
        features = self.backbone.forward_intermediates(  # type: ignore[operator]
            (pixels - self.mean) / self.std, indices=self.used, intermediates_only=True
        )
        embedding = torch.cat([_pool(features[stage]) for stage in self.stages], dim=1)
        return embedding, _patches([features[stage] for stage in self.patch_stages])


def export_openvino(network: nn.Module, image_size: int, path: Path) -> None:
    """Write a network that gives `OUTPUTS` as OpenVINO files ``path`` (.xml) and its .bin, for any batch size.

    Weights stay in full precision.
    """
    ov = import_openvino()
    example = torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8)
    with torch.inference_mode():
        model = ov.convert_model(network, example_input=example, input=[-1, image_size, image_size, 3])
    for output, name in zip(model.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    ov.save_model(model, path, compress_to_fp16=False)


def _pool(features: Tensor) -> Tensor:
    """Average, standard deviation and maximum over places: ``(N, C, h, w)`` to ``(N, 3C)``."""
    average = features.mean((2, 3))
    centred = features - average[:, :, None, None]
    return torch.cat([average, (centred**2).mean((2, 3)).sqrt(), features.amax((2, 3))], dim=1)


def _patches(features: list[Tensor]) -> Tensor:
    """Local averages of some stages, brought to the finest stage's grid (PatchCore, Roth et al. 2022)."""
    size = features[0].shape[2:]
    smooth = [F.avg_pool2d(stage, 3, stride=1, padding=1) for stage in features]
    return torch.cat([smooth[0], *(F.interpolate(s, size=size, mode="bilinear") for s in smooth[1:])], dim=1)
