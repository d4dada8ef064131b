"""What runs the network: OpenVINO on a CPU, torch on CUDA, and torch on a CPU as the reference for both."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nightglass.collections import Backbone, Device, Precision
from nightglass.detector.silent_openvino import import_openvino
from nightglass.errors import ModelError

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
#: Beside the network's files in a detector's folder: what torch rebuilds it from.
WEIGHTS_NAME = "backbone.safetensors"
#: Images that a network of OpenVINO's computes at once; chosen by measurement.
AT_ONCE = 8
_first_use = threading.Lock()
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg")  # Linux; Windows' subsystem for Linux


@dataclass(frozen=True)
class Embedded:
    """Network outputs of a batch: ``embedding (N, D)`` and ``patches (N, C, h, w)``."""

    embedding: Floats
    patches: Floats


class Backend(Protocol):
    """Runs the network; safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """What computes, and in which precision."""
        ...

    def embed(self, images: Images) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        ...


class LoadingBackend:
    """A backend that a thread of its own loads: whoever needs it first waits, and gets what loading it raised."""

    def __init__(self, load: Callable[[], Backend]) -> None:
        pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._loading = pool.submit(load)
        pool.shutdown(wait=False)

    @property
    def name(self) -> str:
        """That of the loaded backend."""
        return self._loading.result().name

    def embed(self, images: Images) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        return self._loading.result().embed(images)


def open_backend(
    network_path: Path,
    backbone: Backbone,
    workers: int,
    precision: Precision = "auto",
    device: Device = "auto",
    at_once: int = AT_ONCE,
) -> Backend:
    """Open the network of a detector's folder for ``workers`` cores.

    Args:
        network_path: The network's .xml file, beside ``backbone.safetensors``.
        backbone: Which network it is.
        workers: How many cores to compute on; more threads than that may call ``embed`` at once.
        precision: Of OpenVINO's arithmetic, see `OpenVINOBackend`; torch on CUDA computes in bf16.
        device: ``auto`` takes a CUDA device where torch finds one, else the CPU; always the CPU for int8, as
            distances from embeddings of the quantised network to those of the other rank images worse than either.
        at_once: Images that OpenVINO computes at once; 1 where they come one by one, which takes a tenth of the time.

    Raises:
        ModelError: The network cannot be loaded, or CUDA was asked for and is missing or the network is int8.
    """
    if precision == "int8" and device == "cuda":
        raise ModelError(
            "scoring.device: expected a detector with detector.precision auto or f32 for 'cuda', got int8; fit it with "
            "that device, or use 'cpu' or 'auto'"
        )
    if precision != "int8" and takes_cuda(device):
        from nightglass.detector.torch_backend import TorchBackend, rebuild_network

        return TorchBackend(rebuild_network(backbone, network_path.with_name(WEIGHTS_NAME)), "cuda")
    return OpenVINOBackend(network_path, workers, precision, at_once)


def takes_cuda(device: Device) -> bool:
    """Tell whether ``device`` means CUDA on this machine; torch is only imported where there is a driver."""
    if device != "auto":
        return device == "cuda"
    if not any(Path(driver).exists() for driver in _GPU_DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


class OpenVINOBackend:
    """The network on OpenVINO's CPU plugin, one stream and thread per worker.

    It always computes ``at_once`` images at once: a network of one fixed shape is a tenth faster than one of any, more
    images at once leave the processor's caches, and an image's outputs cannot depend on the size of its batch.

    Args:
        path: The network's .xml file.
        workers: How many streams compute at once, a thread each; more callers wait for one.
        precision: ``auto`` is bf16 where the processor has it and f32 elsewhere; ``f32``; ``int8`` for a network
            that `quantize_network` wrote, whose other layers are computed as with ``auto``.
        at_once: How many images a call of the network computes; fewer are filled up.

    Raises:
        ModelError: The file holds no network.
    """

    def __init__(self, path: Path, workers: int, precision: Precision = "auto", at_once: int = AT_ONCE) -> None:
        with _first_use:
            ov = import_openvino()
            # OpenVINO 2026.4 fills its table of numpy types on first use, behind a C++ guard that it holds while it
            # lets go of the GIL: two threads that come first would wait for each other for ever.
            ov.Type.u8.to_dtype()
        core = ov.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        hint = "bf16" if has_bf16 and precision != "f32" else "f32"
        self.name = f"openvino-{'int8' if precision == 'int8' else hint}"
        settings = {
            "INFERENCE_NUM_THREADS": str(workers),
            "NUM_STREAMS": str(workers),
            "INFERENCE_PRECISION_HINT": hint,
        }
        try:
            network = core.read_model(path)
            shape = network.input(0).partial_shape
            shape[0] = at_once
            network.reshape(shape)
            self._model = core.compile_model(network, "CPU", settings)
        except RuntimeError as error:
            found = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: expected an OpenVINO network, got {found}") from error
        self._at_once = at_once
        self._lock = threading.Lock()
        self._local = threading.local()

    def embed(self, images: Images) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        request, names = self._request(), ("embedding", "patches")
        outputs = [np.empty((len(images), *self._model.output(name).shape[1:]), np.float32) for name in names]
        for start in range(0, len(images), self._at_once):
            part = np.ascontiguousarray(images[start : start + self._at_once])
            count = len(part)
            if count < self._at_once:
                part = np.concatenate([part, np.zeros((self._at_once - count, *part.shape[1:]), np.uint8)])
            results = request.infer([part], share_inputs=True)
            for name, output in zip(names, outputs, strict=True):
                output[start : start + count] = results[name][:count]
        return Embedded(*outputs)

    def _request(self) -> Any:  # noqa: ANN401  OpenVINO has no types
        if not hasattr(self._local, "request"):
            with self._lock:
                self._local.request = self._model.create_infer_request()
        return self._local.request
