"""What runs the network: OpenVINO on a CPU, or torch as the reference; the same numbers within float rounding."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nightglass.errors import ModelError

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Network outputs of a batch: ``embedding (N, D)``, ``statistics (N, 4)``, ``patches (N, C, h, w)`` if asked."""

    embedding: Floats
    statistics: Floats
    patches: Floats | None = None


def patches_of(embedded: Embedded, number: int) -> Floats:
    """Return the patch embedding ``(C, h, w)`` of one image of a batch that was embedded with patches."""
    if embedded.patches is None:
        raise ModelError("backend: expected patch embeddings, got none")
    return np.asarray(embedded.patches[number])


class Backend(Protocol):
    """Runs the network; safe to call from several threads at once."""

    name: str

    def embed(self, images: Images, *, patches: bool = False) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        ...


class OpenVINOBackend:
    """The network on OpenVINO's CPU plugin, one stream and thread per worker.

    Args:
        path: The network's .xml file.
        workers: How many threads will call ``embed`` at once.
    """

    name = "openvino-f32"

    def __init__(self, path: Path, workers: int) -> None:
        os.environ.setdefault("OPENVINO_TELEMETRY_DISABLE", "1")
        import openvino as ov

        # OpenVINO 2026.4 fills its table of numpy types on first use, behind a C++ guard that it holds while it lets
        # go of the GIL: two threads that infer for the first time would wait for each other for ever.
        ov.Type.u8.to_dtype()
        core = ov.Core()
        settings = {
            "INFERENCE_NUM_THREADS": str(workers),
            "NUM_STREAMS": str(workers),
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            model = core.read_model(path)
            # Scoring needs no patches: without that output their part of the network is not computed.
            image_model = ov.Model([model.output("embedding"), model.output("statistics")], model.get_parameters())
            self._image_model = core.compile_model(image_model, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"{path}: expected an OpenVINO network, got {' '.join(str(error).split())[:200]}"
            ) from error
        self._core, self._model, self._settings = core, model, settings
        self._patch_model: Any = None  # compiled when it is first asked for
        self._lock = threading.Lock()
        self._local = threading.local()

    def embed(self, images: Images, *, patches: bool = False) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        request = self._request(patches=patches)
        results = request.infer([np.ascontiguousarray(images)], share_inputs=True)
        outputs = [np.array(results[index], dtype=np.float32) for index in range(len(results))]
        return Embedded(*outputs)

    def _request(self, *, patches: bool) -> Any:  # noqa: ANN401  OpenVINO has no types
        name = "patch_request" if patches else "image_request"
        if not hasattr(self._local, name):
            with self._lock:
                if patches and self._patch_model is None:
                    self._patch_model = self._core.compile_model(self._model, "CPU", self._settings)
                model = self._patch_model if patches else self._image_model
                setattr(self._local, name, model.create_infer_request())
        return getattr(self._local, name)


class TorchBackend:
    """The network in eager torch on the CPU: the reference that other backends are measured against."""

    name = "torch-f32"

    def __init__(self, network: Any) -> None:  # noqa: ANN401  an EmbeddingNetwork; torch is not imported here
        self._network = network

    def embed(self, images: Images, *, patches: bool = False) -> Embedded:
        """Embed ``images (N, S, S, 3)`` uint8 RGB."""
        import torch

        with torch.inference_mode():
            outputs = [output.numpy() for output in self._network(torch.from_numpy(images))]
        return Embedded(*(outputs if patches else outputs[:2]))
