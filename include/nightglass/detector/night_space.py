"""The small vectors by which a night's images are stored, compared and searched."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
DIMENSIONS = 128


def project(standardized: Floats) -> Floats:
    """Project standardised embeddings ``(N, D)`` to ``(N, 128)`` of length 1 by a fixed random rotation.

    A rotation that depends on ``D`` only keeps distances nearly as they are (Johnson & Lindenstrauss 1984), needs
    no fitting, and is the same for every detector, so that the nights of one backbone stay comparable.
    """
    size = standardized.shape[1]
    if size > DIMENSIONS:
        with _alone():
            projected = _rotation(size).apply(np.ascontiguousarray(standardized))
    else:
        projected = np.pad(standardized, ((0, 0), (0, DIMENSIONS - size)))
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.asarray(projected / np.maximum(length, 1e-12), dtype=np.float32)


@contextmanager
def _alone() -> Iterator[None]:
    """Let FAISS compute without more threads: their number changes the last bits of the rotation."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@functools.cache
def _rotation(size: int) -> "faiss.RandomRotationMatrix":
    rotation = faiss.RandomRotationMatrix(size, DIMENSIONS)
    rotation.init(20_260_101)
    return rotation


def new_index() -> "faiss.Index":
    """Return an empty FAISS index of such vectors: exact inner product over half-precision codes, 256 bytes each."""
    index = faiss.IndexScalarQuantizer(DIMENSIONS, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.train(np.zeros((1, DIMENSIONS), np.float32))
    return index
