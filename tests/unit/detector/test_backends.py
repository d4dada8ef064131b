from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from nightglass.collections import Backbone, DetectorOptions
from nightglass.detector.agreement import CheckImages, score_queries
from nightglass.detector.backends import WEIGHTS_NAME, Backend, OpenVINOBackend, open_backend, takes_cuda
from nightglass.detector.network import EmbeddingNetwork, export_openvino
from nightglass.detector.quantization import quantize_network
from nightglass.detector.torch_backend import TorchBackend, rebuild_network
from nightglass.errors import ModelError
from tests.conftest import draw_panel

BACKBONE = Backbone(image_size=96)
OPTIONS = DetectorOptions(backbone=BACKBONE)
HAS_BF16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device on this machine")
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="the processor of this machine has no bf16 instructions")


def draw_texture(seed: int) -> NDArray[np.uint8]:
    """Coloured gratings and noise: no two are of one kind, where panels are all alike."""
    random, side = np.random.default_rng(seed), BACKBONE.image_size
    y, x = np.mgrid[:side, :side] / side
    pixels = random.normal(0, random.uniform(2, 25), (side, side, 1)) + random.uniform(70, 180, 3)
    for _ in range(3):
        angle, frequency = random.uniform(0, np.pi), np.exp(random.uniform(np.log(2), np.log(side / 6)))
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + random.uniform(0, 6))
        pixels = pixels + wave[..., None] * random.uniform(5, 40, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def draw_small_panel(seed: int) -> NDArray[np.uint8]:
    return np.asarray(draw_panel(seed).convert("RGB").resize((BACKBONE.image_size,) * 2))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .xml file of an exported network, its weights beside it."""
    path = tmp_path_factory.mktemp("network") / "network.xml"
    network = EmbeddingNetwork(BACKBONE)
    export_openvino(network, BACKBONE.image_size, path)
    save_file(network.backbone.state_dict(), path.with_name(WEIGHTS_NAME))
    return path


@pytest.fixture(scope="module", params=[draw_small_panel, draw_texture], ids=["panels", "textures"])
def images(request: pytest.FixtureRequest) -> CheckImages:
    draw: Callable[[int], NDArray[np.uint8]] = request.param
    return CheckImages.draw(np.stack([draw(seed) for seed in range(100)]), seed=0)


@pytest.fixture(scope="module")
def expected(network: Path, images: CheckImages) -> NDArray[np.float64]:
    """Image scores of the reference, torch in f32."""
    return score_queries(TorchBackend(rebuild_network(BACKBONE, network.with_name(WEIGHTS_NAME))), images, OPTIONS, 2)


def check(backend: Backend, images: CheckImages, expected: NDArray[np.float64], rank: float, auroc: float) -> None:
    """Compare image scores of a detector fitted on the backend's own embeddings with the reference's."""
    found = score_queries(backend, images, OPTIONS, 2)
    is_defect = np.arange(len(found)) >= 50
    assert spearmanr(expected, found).statistic >= rank
    assert roc_auc_score(is_defect, found) == pytest.approx(roc_auc_score(is_defect, expected), abs=auroc)


def test_openvino_in_f32_scores_as_torch(network: Path, images: CheckImages, expected: NDArray[np.float64]) -> None:
    check(OpenVINOBackend(network, 2, "f32"), images, expected, rank=0.999, auroc=0.003)


@needs_bf16
def test_openvino_in_bf16_scores_as_torch(network: Path, images: CheckImages, expected: NDArray[np.float64]) -> None:
    backend = OpenVINOBackend(network, 2)
    assert backend.name == "openvino-bf16"
    check(backend, images, expected, rank=0.995, auroc=0.003)


def test_int8_scores_nearly_as_torch(
    network: Path, images: CheckImages, expected: NDArray[np.float64], tmp_path: Path
) -> None:
    """Such images are refused by the check of a fit; that an int8 network is far from useless holds for them too."""
    quantize_network(network, images.bank[:32], tmp_path / "int8.xml")
    check(OpenVINOBackend(tmp_path / "int8.xml", 2, "int8"), images, expected, rank=0.9, auroc=0.03)


@needs_cuda
def test_cuda_scores_as_torch_on_the_cpu(network: Path, images: CheckImages, expected: NDArray[np.float64]) -> None:
    backend = open_backend(network, BACKBONE, 2, "auto", "cuda")
    assert backend.name == "torch-bf16-cuda"
    check(backend, images, expected, rank=0.995, auroc=0.003)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_is_an_error_and_auto_is_the_cpu(network: Path) -> None:
    with pytest.raises(ModelError, match=r"^scoring.device: expected CUDA for 'cuda', got .*\Z"):
        open_backend(network, BACKBONE, 1, "auto", "cuda")
    assert not takes_cuda("auto")
    assert open_backend(network, BACKBONE, 1, "auto", "auto").name.startswith("openvino")


def test_an_int8_network_is_never_swapped_for_another_on_cuda(network: Path) -> None:
    with pytest.raises(ModelError, match=r"^scoring.device: .* got int8"):
        open_backend(network, BACKBONE, 1, "int8", "cuda")
    assert open_backend(network, BACKBONE, 1, "int8", "auto").name == "openvino-int8"


def test_threads_get_what_one_thread_gets(network: Path, images: CheckImages) -> None:
    backend = OpenVINOBackend(network, 4)
    batches = [images.queries[start : start + 5] for start in range(0, 60, 5)]
    alone = [backend.embed(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(backend.embed, batches * 3))
    for first, second in zip(alone * 3, together, strict=True):
        np.testing.assert_array_equal(first.embedding, second.embedding)
        np.testing.assert_array_equal(first.patches, second.patches)


@pytest.mark.parametrize("precision", ["f32", pytest.param("auto", marks=needs_bf16)])
def test_the_size_of_a_batch_hardly_matters(network: Path, images: CheckImages, precision: str) -> None:
    backend = OpenVINOBackend(network, 1, precision)  # type: ignore[arg-type]  # one of its words
    whole = backend.embed(images.queries[:12])
    single = np.concatenate([backend.embed(image[None]).embedding for image in images.queries[:12]])
    error = np.abs(whole.embedding - single).max() / np.abs(whole.embedding).max()
    assert error < (1e-5 if precision == "f32" else 0.02)


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "network.xml").write_text("<net>")
    with pytest.raises(ModelError, match=r"network.xml: expected an OpenVINO network"):
        OpenVINOBackend(tmp_path / "network.xml", 1)


def test_importing_openvino_loads_no_reporting(network: Path) -> None:
    """In a process of its own, as pytest's was free to import OpenVINO some other way."""
    import subprocess
    import sys

    script = f"""
import sys
from pathlib import Path
from nightglass.detector.backends import OpenVINOBackend
OpenVINOBackend(Path({str(network)!r}), 1)
import nncf
assert "openvino" in sys.modules and not [m for m in sys.modules if m.startswith("openvino_telemetry.")]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
