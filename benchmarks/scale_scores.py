"""Drawn scores: shard files as the engine writes them, for images that nobody scored."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.detector.detector import Detector
from nightglass.engine.shards import SHARD_SCHEMA

_QUARANTINED_SHARE, _ANOMALOUS_SHARE = 0.005, 0.01
_VECTOR_NOISE = 0.03  # in each of the dimensions of a vector of length 1


def give_own_contents(manifest: pa.Table, kept: set[int]) -> pa.Table:
    """Return the manifest with a sha256 of its own for every row, as if no two images were equal.

    Args:
        manifest: The rows.
        kept: Numbers of rows that keep the sha256 of their file, which is looked at again.
    """
    columns = (manifest["path"].to_pylist(), manifest["sha256"].to_pylist())
    hashes = [
        sha256 if row in kept else hashlib.sha256(path.encode()).hexdigest()
        for row, (path, sha256) in enumerate(zip(*columns, strict=True))
    ]
    place = manifest.schema.get_field_index("sha256")
    return manifest.set_column(place, manifest.schema.field(place), pa.array(hashes))


def draw_shard(part: pa.Table, is_top: NDArray[np.bool_], detector: Detector, random: np.random.Generator) -> pa.Table:
    """Draw the file of a shard; columns that are not known here are drawn by their type.

    Args:
        part: The shard's rows of the manifest.
        is_top: Which of them ``(N,)`` get the highest scores of the night.
        detector: Gives the threshold, the usual statistics and the reference's vectors.
        random: Draws.
    """
    rows = len(is_top)
    threshold = detector.calibration.image_threshold
    score = np.where(
        random.random(rows) < _ANOMALOUS_SHARE,
        threshold * random.uniform(1, 1.5, rows),
        threshold * random.uniform(0.3, 1, rows),
    )
    score = np.where(is_top, threshold * random.uniform(2, 3, rows), score)
    is_quarantined = (random.random(rows) < _QUARANTINED_SHARE) & ~is_top
    reason = pa.array(["truncated" if bad else None for bad in is_quarantined], pa.string())
    detail = pa.array(["drawn by the benchmark" if bad else None for bad in is_quarantined], pa.string())
    known: dict[str, Any] = {
        "path": part["path"],
        "sha256": part["sha256"],
        "image_score": score,
        "is_anomalous": score >= threshold,
        "reason": reason,
        "detail": detail,
        "vector": _draw_vectors(detector, random, rows),
    }
    columns = []
    for field in SHARD_SCHEMA:
        values = known.get(field.name)
        if values is None:
            values = _draw_values(field, detector, random, rows)
        array = pa.array(values, field.type) if isinstance(values, np.ndarray | list) else values
        columns.append(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    return pa.table(columns, schema=SHARD_SCHEMA)


def _draw_vectors(detector: Detector, random: np.random.Generator, rows: int) -> list[bytes]:
    """Draw vectors of length 1 around those of the reference, at half precision as the engine writes them."""
    near = detector.reference.embeddings[random.integers(0, len(detector.reference.embeddings), rows)]
    vectors = near + random.normal(0, _VECTOR_NOISE, near.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    width = SHARD_SCHEMA.field("vector").type.byte_width
    if vectors.itemsize * vectors.shape[1] != width:
        raise ValueError(f"expected vectors of {width} bytes, got {vectors.itemsize * vectors.shape[1]}")
    return [vector.tobytes() for vector in vectors]


def _draw_values(field: pa.Field, detector: Detector, random: np.random.Generator, rows: int) -> Any:
    if pa.types.is_floating(field.type):
        statistic = detector.reference.statistics.get(field.name)
        return (statistic.median if statistic else 1.0) * random.normal(1, 0.02, rows)
    if pa.types.is_integer(field.type):
        return np.full(rows, 1)
    if pa.types.is_boolean(field.type):
        return np.zeros(rows, dtype=bool)
    if pa.types.is_string(field.type):
        return [detector.bank_paths[row] for row in random.integers(0, len(detector.bank_paths), rows)]
    return pa.nulls(rows, field.type)
