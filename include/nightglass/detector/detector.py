"""What a fitted detector is, and how it scores."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.collections import DetectorOptions, Device, Precision
from nightglass.detector.backends import AT_ONCE, Backend, Embedded, open_backend
from nightglass.detector.calibration import Calibration
from nightglass.detector.label_head import LabelHead, pool_features
from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.night_space import project
from nightglass.detector.patch_bank import PatchBank
from nightglass.detector.reference import ReferenceStatistic

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Scores of a batch of N images.

    ``nearest_rows (N, num_neighbors)`` are rows of the memory bank, ``projected (N, 128)`` goes into the night's
    index.
    """

    image_score: NDArray[np.float64]
    is_anomalous: NDArray[np.bool_]
    nearest_rows: NDArray[np.int64]
    nearest_distances: Floats
    projected: Floats


@dataclass(frozen=True)
class Reference:
    """What drift is measured against: statistics by name, and projected embeddings ``(M, 128)`` of good images."""

    statistics: dict[str, ReferenceStatistic]
    embeddings: Floats


@dataclass(frozen=True)
class Detector:
    """A detector as it was fitted; ``bank_images`` has ``path``, ``sha256`` and ``thumbnail`` per bank row.

    ``precision`` is what its network computes in on a CPU: the asked one, or ``auto`` where int8 was not kept.
    """

    options: DetectorOptions
    precision: Precision
    standardization: Standardization
    bank: MemoryBank
    calibration: Calibration
    patch_bank: PatchBank
    label_head: LabelHead | None
    reference: Reference
    bank_images: pa.Table
    data_version: str
    fingerprint: str
    network_path: Path

    def open_backend(self, workers: int, device: Device = "auto", at_once: int = AT_ONCE) -> Backend:
        """Load the network for ``workers`` threads, each of which computes ``at_once`` images at once on a CPU.

        Raises:
            ModelError: The network cannot be loaded, or ``device`` is CUDA and there is none.
        """
        faiss.omp_set_num_threads(1)  # the workers are the parallelism
        return open_backend(self.network_path, self.options.backbone, workers, self.precision, device, at_once)

    @cached_property
    def bank_paths(self) -> list[str]:
        """Paths of the bank's images, by row."""
        paths: list[str] = self.bank_images.column("path").to_pylist()
        return paths

    def score(self, embedded: Embedded) -> Scores:
        """Score a batch of N images as the backend gives them."""
        standardized = self.standardization.apply(embedded.embedding)
        distances, rows = self.bank.search(standardized, self.options.num_neighbors)
        patch_distances = self.patch_bank.image_distances(embedded.patches)
        image_score = self.calibration.score(distances.mean(axis=1), patch_distances)
        if self.label_head:
            features = pool_features(embedded.embedding, embedded.patches)
            image_score = image_score + self.label_head.score(features, image_score)
        is_anomalous = image_score >= self.calibration.image_threshold
        return Scores(image_score, is_anomalous, rows, distances, project(standardized))
