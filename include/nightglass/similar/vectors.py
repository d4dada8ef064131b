"""The vectors of a night's images: the FAISS index that its scoring wrote, checked before FAISS reads it."""

import struct

import faiss
import numpy as np
from numpy.typing import NDArray

from nightglass.detector.night_space import DIMENSIONS
from nightglass.engine.merge import INDEX_NAME
from nightglass.engine.shards import VECTOR_BYTES
from nightglass.errors import InputError
from nightglass.similar.night import ScoredNight, Stamp, UnfinishedNightError
from nightglass.similar.shelf import Shelf
from nightglass.storage import explaining

Floats = NDArray[np.float32]
_START = struct.Struct("<4siq")  # FAISS's name of the kind of index, dimensions, number of vectors
_KIND = b"IxSQ"
_MOST_HEADER_BYTES = 1024  # in front of the vectors, which end the file; 81 as FAISS 1.15 writes it


def read_vector(night: ScoredNight, row: int, stamp: Stamp) -> Floats:
    """Return the vector ``(1, 128)`` of one image; no more of the file is read.

    Raises:
        UnfinishedNightError: The index cannot be read, or belongs to other scores than those of ``stamp``.
    """
    size = _check_index(night)
    start = size - (night.scored - row) * VECTOR_BYTES
    path = night.folder.path(INDEX_NAME)
    with explaining(f"{night.folder.url}/{INDEX_NAME}"):
        code = night.folder.fs.cat_file(path, start=start, end=start + VECTOR_BYTES)
    night.check_stamp(stamp)
    return np.frombuffer(code, np.float16).astype(np.float32)[None, :]


def find_index(night: ScoredNight, shelf: Shelf) -> tuple["faiss.Index", Stamp]:
    """Return the night's index, from memory where it is there, and the stamp of the results that it is one of.

    Raises:
        UnfinishedNightError: The index cannot be read, or does not belong to the night's scores.
    """
    stamp = night.stamp()
    return shelf.get(("vectors", stamp), night.scored * VECTOR_BYTES, lambda: _read_index(night, stamp)), stamp


def _read_index(night: ScoredNight, stamp: Stamp) -> "faiss.Index":
    _check_index(night)
    with night.folder.as_local(INDEX_NAME) as path:
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise UnfinishedNightError(f"{night.where}: {INDEX_NAME} is damaged") from error
    night.check_stamp(stamp)
    if index.d != DIMENSIONS or index.ntotal != night.scored or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise UnfinishedNightError(f"{night.where}: {INDEX_NAME} is none of the night's {night.scored} images")
    return index


def _check_index(night: ScoredNight) -> int:
    """Return the file's size after checking that it has room for just what its start says.

    FAISS makes room for as many vectors as a file claims to have.
    """
    path, where = night.folder.path(INDEX_NAME), f"{night.where}: {INDEX_NAME}"
    try:
        with explaining(f"{night.folder.url}/{INDEX_NAME}"):
            size = int(night.folder.fs.info(path)["size"])
            start = night.folder.fs.cat_file(path, start=0, end=_START.size)
    except InputError as error:
        raise UnfinishedNightError(f"{where} is not there") from error
    if start != _START.pack(_KIND, DIMENSIONS, night.scored):
        raise UnfinishedNightError(f"{where} is not that of the night's {night.scored} scored images")
    if not 0 < size - night.scored * VECTOR_BYTES <= _MOST_HEADER_BYTES:
        raise UnfinishedNightError(f"{where} is damaged: {size} bytes for {night.scored} images")
    return size
