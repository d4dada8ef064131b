"""The network in torch: on CUDA in bf16, or on a CPU in f32 as the reference that others are measured against."""

import threading
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from nightglass.collections import Backbone
from nightglass.detector.backends import Embedded, Images
from nightglass.detector.network import EmbeddingNetwork
from nightglass.errors import ModelError


def rebuild_network(backbone: Backbone, weights: Path) -> EmbeddingNetwork:
    """Build the network anew from the weights that were saved beside a detector; nothing is downloaded.

    Raises:
        ModelError: The weights are damaged or do not fit the network.
    """
    return EmbeddingNetwork(backbone.model_copy(update={"weights": str(weights)}))


class TorchBackend:
    """The network in eager torch.

    Args:
        network: Takes images and gives the two outputs; it belongs to the backend afterwards.
        device: ``cuda`` computes in bf16, channels last; ``cpu`` in f32.

    Raises:
        ModelError: CUDA was asked for and torch finds none; the CPU never steps in by itself.
    """

    def __init__(self, network: nn.Module, device: Literal["cpu", "cuda"] = "cpu") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            build = "a build of torch without it" if torch.version.cuda is None else "no device"
            raise ModelError(f"scoring.device: expected CUDA for 'cuda', got {build}; 'cpu' or 'auto' use the CPU")
        self.name = "torch-bf16-cuda" if device == "cuda" else "torch-f32"
        self._network = to_bf16(network).to("cuda") if device == "cuda" else network
        self._local = threading.local()

    def embed(self, images: Images) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        with torch.inference_mode():
            if self.name == "torch-f32":
                outputs = self._network(torch.from_numpy(images))
                return Embedded(*(output.numpy() for output in outputs))
            return self._embed_on_cuda(images)

    def _embed_on_cuda(self, images: Images) -> Embedded:
        """Copy, compute and copy back on this thread's own stream, so that threads overlap."""
        if not hasattr(self._local, "stream"):
            self._local.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._local.buffers = {}
        stream = self._local.stream
        with torch.cuda.stream(stream), torch.autocast("cuda", torch.bfloat16):
            sent = self._buffer("images", images.shape, torch.uint8)
            np.copyto(sent.numpy(), images)
            outputs = self._network(sent.to("cuda", non_blocking=True))
            received = []
            for name, output in zip(("embedding", "patches"), outputs, strict=True):
                buffer = self._buffer(name, output.shape, torch.float32)
                received.append(buffer.copy_(output.float(), non_blocking=True))
        stream.synchronize()
        # The pinned buffers serve the next batch.
        return Embedded(*(buffer.numpy().copy() for buffer in received))

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return so much of this thread's pinned memory of that name; pinning anew each time would be slow."""
        kept: Tensor | None = self._local.buffers.get(name)
        if kept is None or len(kept) < shape[0] or kept.shape[1:] != shape[1:]:
            kept = self._local.buffers[name] = torch.empty(shape, dtype=dtype, pin_memory=True)
        return kept[: shape[0]]


def to_bf16(network: nn.Module) -> nn.Module:
    """Round weights to bf16 once, where autocast would do it for every batch, and order convolutions channels last."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]  # it knows both
        elif isinstance(module, nn.Linear):
            module.to(torch.bfloat16)
    return network
