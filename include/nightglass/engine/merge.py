"""Bring the shards of a run together: scores, quarantine, the FAISS index and the top-k, in bounded memory."""

import heapq
from dataclasses import dataclass, field

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightglass.detector.night_space import DIMENSIONS, new_index
from nightglass.engine.shards import (
    QUARANTINE_FIELDS,
    SCORE_FIELDS,
    Shard,
    backend_of,
    batches_of,
    compute_seconds_of,
    stage_seconds_of,
)
from nightglass.engine.stage_times import BatchTime, add_seconds
from nightglass.storage import Folder

SCORES_NAME, QUARANTINE_NAME, INDEX_NAME = "scores.parquet", "quarantine.parquet", "embeddings.faiss"
_SCORE_NAMES = [name for name, _ in SCORE_FIELDS]


@dataclass(frozen=True, order=True)
class RankedImage:
    """An image of the top-k; ordered by score, then by path backwards, so that ties are broken alike each time."""

    image_score: float
    reversed_path: tuple[int, ...] = field(repr=False)
    path: str = field(compare=False)
    sha256: str = field(compare=False)
    is_anomalous: bool = field(compare=False)


@dataclass
class Merged:
    """What the merge counted; ``top`` is highest first."""

    scored: int = 0
    anomalous: int = 0
    quarantined: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    compute_seconds: float = 0.0
    batches: list[BatchTime] = field(default_factory=list, repr=False)
    backends: set[str] = field(default_factory=set)
    top: list[RankedImage] = field(default_factory=list)


def merge_shards(shards: list[Shard], source: Folder, out: Folder, top_k: int) -> Merged:
    """Write scores.parquet, quarantine.parquet and embeddings.faiss from the shards, in the manifest's order.

    Row i of the index is row i of the scores. Memory holds one shard and the index (256 bytes an image).

    Args:
        shards: All shards of the run, in order.
        source: Their folder.
        out: The score folder.
        top_k: How many images are ranked.
    """
    merged = Merged()
    index = new_index()
    heap: list[RankedImage] = []
    with (
        out.writing(SCORES_NAME) as scores_path,
        out.writing(QUARANTINE_NAME) as quarantine_path,
        pq.ParquetWriter(scores_path, pa.schema(SCORE_FIELDS), compression="zstd") as scores_file,
        pq.ParquetWriter(quarantine_path, pa.schema(QUARANTINE_FIELDS), compression="zstd") as quarantine_file,
    ):
        for shard in shards:
            table = source.read_table(shard.name)
            is_scored = pc.is_null(table["reason"])
            scored, quarantined = table.filter(is_scored), table.filter(pc.invert(is_scored))
            scores_file.write_table(scored.select(_SCORE_NAMES))
            quarantine_file.write_table(quarantined.select([name for name, _ in QUARANTINE_FIELDS]))
            _add_vectors(index, scored)
            _rank(heap, scored, top_k)
            merged.stage_seconds = add_seconds(merged.stage_seconds, stage_seconds_of(table))
            merged.compute_seconds += compute_seconds_of(table)
            merged.batches += batches_of(table)
            merged.backends |= {name for name in (backend_of(table),) if name}
            merged.scored += scored.num_rows
            merged.quarantined += quarantined.num_rows
            merged.anomalous += int(pc.sum(scored["is_anomalous"]).as_py() or 0)
    with out.writing(INDEX_NAME) as index_path, index_path.open("wb") as file:
        # Through a file of Python's: faiss's own does not say that a disk is full. Its type stubs lack the writer.
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)
    merged.top = sorted(heap, reverse=True)
    return merged


def _add_vectors(index: "faiss.Index", scored: pa.Table) -> None:
    for vectors in filter(len, scored["vector"].chunks):
        stop = vectors.offset + len(vectors)
        codes = np.frombuffer(vectors.buffers()[1], np.float16, stop * DIMENSIONS).reshape(stop, DIMENSIONS)
        index.add(codes[vectors.offset :].astype(np.float32))


def _rank(heap: list[RankedImage], scored: pa.Table, top_k: int) -> None:
    best = scored.select(["path", "sha256", "image_score", "is_anomalous"])
    keys = [("image_score", "descending"), ("path", "ascending")]
    best = best.take(pc.select_k_unstable(best, k=min(top_k, best.num_rows), sort_keys=keys)) if best.num_rows else best
    for row in best.to_pylist():
        ranked = RankedImage(reversed_path=tuple(-byte for byte in row["path"].encode()), **row)
        if len(heap) < top_k:
            heapq.heappush(heap, ranked)
        else:
            heapq.heappushpop(heap, ranked)
