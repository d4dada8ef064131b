"""The memory bank: embeddings of known-good images, searched by FAISS."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


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
    """Exact nearest neighbours by Euclidean distance among ``(N, D)`` float32 embeddings."""

    def __init__(self, index: Any) -> None:  # noqa: ANN401  a faiss.Index; faiss has no types
        self._index = index

    @classmethod
    def build(cls, embeddings: Floats) -> "MemoryBank":
        """Index ``embeddings (N, D)`` in their order."""
        index = faiss.IndexFlatL2(embeddings.shape[1])
        index.add(np.ascontiguousarray(embeddings))
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> "MemoryBank":
        """Read a bank that `save` wrote."""
        return cls(faiss.read_index(str(path)))

    def save(self, path: Path) -> None:
        """Write the bank as a FAISS index."""
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, embeddings: Floats, num_neighbors: int) -> tuple[Floats, Indices]:
        """Return distances and bank rows ``(N, num_neighbors)``, nearest first."""
        squared, rows = self._index.search(np.ascontiguousarray(embeddings), min(num_neighbors, len(self)))
        return np.sqrt(np.maximum(squared, 0)), rows

    def search_others(self, num_neighbors: int) -> Floats:
        """Return each bank image's distances ``(N, num_neighbors)`` to the *other* images of the bank."""
        count = min(num_neighbors + 1, len(self))
        blocks = []
        for start in range(0, len(self), 1024):
            own = np.arange(start, min(start + 1024, len(self)))
            squared, rows = self._index.search(self._index.reconstruct_n(start, len(own)), count)
            # Rounding may rank an equal image before the image itself, so the own row is found by its number.
            squared[rows == own[:, None]] = np.inf
            blocks.append(np.sort(squared, axis=1)[:, : count - 1])
        return np.asarray(np.sqrt(np.maximum(np.concatenate(blocks), 0)), dtype=np.float32)
