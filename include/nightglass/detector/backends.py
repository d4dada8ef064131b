"""What runs the network: OpenVINO on a CPU, torch on CUDA, and torch on a CPU as the reference for both."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nightglass.collections import Backbone
from nightglass.errors import ModelError

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Precision = Literal["auto", "f32", "int8"]
Device = Literal["auto", "cpu", "cuda"]
#: Beside the network's files in a detector's folder: what torch rebuilds it from.
WEIGHTS_NAME = "backbone.safetensors"
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg")  # Linux; Windows' subsystem for Linux


@dataclass(frozen=True)
class Embedded:
    """Network outputs of a batch: ``embedding (N, D)`` and ``patches (N, C, h, w)``."""

    embedding: Floats
    patches: Floats


class Backend(Protocol):
    """Runs the network; safe to call from several threads at once."""

    name: str

    def embed(self, images: Images) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        ...


def open_backend(
    network_path: Path, backbone: Backbone, workers: int, precision: Precision = "auto", device: Device = "auto"
) -> Backend:
    """Open the network of a detector's folder for ``workers`` threads.

    Args:
        network_path: The network's .xml file, beside ``backbone.safetensors``.
        backbone: Which network it is.
        workers: How many threads will call ``embed`` at once.
        precision: Of OpenVINO's arithmetic, see `OpenVINOBackend`; torch on CUDA computes in bf16.
        device: ``auto`` takes a CUDA device where torch finds one, else the CPU.

    Raises:
        ModelError: The network cannot be loaded, or CUDA was asked for and is missing.
    """
    if device == "cuda" or (device == "auto" and has_cuda()):
        from nightglass.detector.torch_backend import TorchBackend, rebuild_network

        return TorchBackend(rebuild_network(backbone, network_path.with_name(WEIGHTS_NAME)), "cuda")
    return OpenVINOBackend(network_path, workers, precision)


def has_cuda() -> bool:
    """Tell whether torch can compute on a CUDA device; torch is only imported where there is a driver."""
    if not any(Path(driver).exists() for driver in _GPU_DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


class OpenVINOBackend:
    """The network on OpenVINO's CPU plugin, one stream and thread per worker.

    Args:
        path: The network's .xml file.
        workers: How many threads will call ``embed`` at once.
        precision: ``auto`` is bf16 where the processor has it and f32 elsewhere; ``f32``; ``int8`` for a network
            that `quantize_network` wrote.

    Raises:
        ModelError: The file holds no network.
    """

    def __init__(self, path: Path, workers: int, precision: Precision = "auto") -> None:
        os.environ.setdefault("OPENVINO_TELEMETRY_DISABLE", "1")
        import openvino as ov

        # OpenVINO 2026.4 fills its table of numpy types on first use, behind a C++ guard that it holds while it lets
        # go of the GIL: two threads that infer for the first time would wait for each other for ever.
        ov.Type.u8.to_dtype()
        core = ov.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.name = f"openvino-{'bf16' if precision == 'auto' and has_bf16 else precision.replace('auto', 'f32')}"
        settings = {
            "INFERENCE_NUM_THREADS": str(workers),
            "NUM_STREAMS": str(workers),
            # What an int8 network does not compute in int8 it computes in f32.
            "INFERENCE_PRECISION_HINT": "bf16" if self.name == "openvino-bf16" else "f32",
        }
        try:
            self._model = core.compile_model(core.read_model(path), "CPU", settings)
        except RuntimeError as error:
            found = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: expected an OpenVINO network, got {found}") from error
        self._lock = threading.Lock()
        self._local = threading.local()

    def embed(self, images: Images) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        results = self._request().infer([np.ascontiguousarray(images)], share_inputs=True)
        embedding, patches = (np.array(results[name], dtype=np.float32) for name in ("embedding", "patches"))
        return Embedded(embedding, patches)

    def _request(self) -> Any:  # noqa: ANN401  OpenVINO has no types
        if not hasattr(self._local, "request"):
            with self._lock:
                self._local.request = self._model.create_infer_request()
        return self._local.request
