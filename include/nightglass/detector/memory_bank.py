"""The memory bank: embeddings of known-good images, searched by FAISS."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
_CANDIDATES = 10  # nearest by plain distance, among which the scaled neighbours are
_SPREAD_NEIGHBORS = 3
_LEAST_SPREAD = 0.1  # of the median spread


@dataclass(frozen=True)
class Standardization:
    """Mean and standard deviation per dimension, ``(D,)`` each, of the good images."""

    mean: Floats
    std: Floats

    @classmethod
    def of(cls, embeddings: Floats) -> "Standardization":
        """Measure ``embeddings (N, D)``; a constant dimension is left out by an infinite deviation."""
        std = embeddings.std(axis=0, dtype=np.float64)
        std[std < 1e-6] = np.inf
        return cls(embeddings.mean(axis=0, dtype=np.float64).astype(np.float32), std.astype(np.float32))

    def apply(self, embeddings: Floats) -> Floats:
        """Return ``(N, D)`` with mean 0 and deviation 1 over the good images."""
        return np.ascontiguousarray((embeddings - self.mean) / self.std)


class MemoryBank:
    """Nearest neighbours among ``(N, D)`` float32 embeddings of good images, by density-scaled Euclidean distance.

    The distance to a bank image is divided by the square root of that image's *spread*, its mean distance to its own
    nearest neighbours: far from a loosely packed kind of image means less than far from a tightly packed one
    (a softened local outlier factor, Breunig et al. 2000). The scaled neighbours are found among the nearest by plain
    distance, by FAISS.
    """

    def __init__(self, index: Any, spread: Floats) -> None:  # noqa: ANN401  a faiss.Index; faiss has no types
        self._index = index
        self.spread = spread

    @classmethod
    def build(cls, embeddings: Floats) -> "MemoryBank":
        """Index ``embeddings (N, D)`` in their order."""
        index = faiss.IndexFlatL2(embeddings.shape[1])
        index.add(np.ascontiguousarray(embeddings))
        near, _ = _search_others(index, _SPREAD_NEIGHBORS)
        return cls(index, floor_spread(near.mean(axis=1)))

    @classmethod
    def load(cls, path: Path, spread: Floats) -> "MemoryBank":
        """Read a bank that `save` wrote."""
        return cls(faiss.read_index(str(path)), spread)

    def save(self, path: Path) -> None:
        """Write the bank's embeddings as a FAISS index; its ``spread (N,)`` is kept elsewhere."""
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Length of an embedding; 0 where the index does not hold them as they are."""
        return int(self._index.d) if isinstance(self._index, faiss.IndexFlat) else 0

    def embeddings(self) -> Floats:
        """Return the bank's embeddings ``(N, D)``, standardized, in their order."""
        return np.asarray(self._index.reconstruct_n(0, len(self)), dtype=np.float32)

    def search(self, embeddings: Floats, num_neighbors: int) -> tuple[Floats, Indices]:
        """Return scaled distances and bank rows ``(N, num_neighbors)``, nearest first."""
        candidates = min(max(_CANDIDATES, num_neighbors), len(self))
        squared, rows = self._index.search(np.ascontiguousarray(embeddings), candidates)
        scaled = np.sqrt(np.maximum(squared, 0)) / np.sqrt(self.spread[rows])
        order = np.argsort(scaled, axis=1, kind="stable")[:, :num_neighbors]
        return np.take_along_axis(scaled, order, 1), np.take_along_axis(rows, order, 1)

    def search_others(self, num_neighbors: int) -> Floats:
        """Return each bank image's scaled distances ``(N, num_neighbors)`` to the others, as if it were not there."""
        candidates = min(max(_CANDIDATES, num_neighbors, _SPREAD_NEIGHBORS + 1), len(self) - 1)
        near, rows = _search_others(self._index, candidates)
        count = min(_SPREAD_NEIGHBORS, candidates)
        reach = near[:, count - 1]
        # Where the image itself is one of the neighbours that make up another's spread, the next one takes its place.
        next_ones = near[:, : count + 1].sum(axis=1, dtype=np.float64)
        without = floor_spread(np.maximum(next_ones[rows] - near, 0) / max(min(count, candidates - 1), 1))
        spread = np.where(near <= reach[rows], without, self.spread[rows])
        return np.asarray(np.sort(near / np.sqrt(spread), axis=1)[:, :num_neighbors], dtype=np.float32)


def _search_others(index: Any, num_neighbors: int) -> tuple[Floats, Indices]:  # noqa: ANN401
    """Return plain distances and rows ``(N, num_neighbors)`` from every image of the index to the *other* ones."""
    count = min(num_neighbors + 1, index.ntotal)
    distances, neighbors = [], []
    for start in range(0, index.ntotal, 1024):
        own = np.arange(start, min(start + 1024, index.ntotal))
        squared, rows = index.search(index.reconstruct_n(start, len(own)), count)
        # Rounding may rank an equal image before the image itself, so the own row is found by its number.
        squared[rows == own[:, None]] = np.inf
        order = np.argsort(squared, axis=1, kind="stable")[:, : count - 1]
        distances.append(np.take_along_axis(squared, order, 1))
        neighbors.append(np.take_along_axis(rows, order, 1))
    return np.sqrt(np.maximum(np.concatenate(distances), 0)), np.concatenate(neighbors)


def floor_spread(spread: NDArray[np.floating[Any]]) -> Floats:
    """Bound ``spread (N,)`` from below, so that near-duplicates do not make every distance to them look huge."""
    floor = _LEAST_SPREAD * float(np.median(spread))
    return np.asarray(np.maximum(spread, floor if floor > 0 else 1.0), dtype=np.float32)
