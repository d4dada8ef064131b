"""Score a folder in shards: each becomes one Parquet file, whole or not at all, so that a killed run resumes."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nightglass.collections import Scoring
from nightglass.detector.detector import Detector
from nightglass.detector.night_space import DIMENSIONS
from nightglass.engine.pipeline import EmbeddedBatch
from nightglass.engine.stage_times import WORKING_STAGES, BatchTime, StageTimes
from nightglass.images.manifest import Manifest
from nightglass.storage import Folder

MAX_SHARDS = 256
SHARDS_NAME = ".shards"
VECTOR_BYTES = DIMENSIONS * 2
#: Columns of scores.parquet.
SCORE_FIELDS: list[tuple[str, pa.DataType]] = [
    ("path", pa.string()),
    ("sha256", pa.string()),
    ("image_score", pa.float64()),
    ("is_anomalous", pa.bool_()),
    ("nearest_path", pa.string()),
    ("nearest_distance", pa.float64()),
    ("brightness", pa.float64()),
    ("contrast", pa.float64()),
    ("sharpness", pa.float64()),
    ("colourfulness", pa.float64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
]
QUARANTINE_FIELDS: list[tuple[str, pa.DataType]] = [
    ("path", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
]
#: A shard's file holds both kinds of rows: a row with a reason is quarantined and has no score.
SHARD_SCHEMA = pa.schema(
    [*SCORE_FIELDS, ("vector", pa.binary(VECTOR_BYTES)), *QUARANTINE_FIELDS[1:]],
)


_NOTED_STAGES = ("read", *WORKING_STAGES)
_SECONDS_KEY = b"nightglass.stage_seconds"
_BATCHES_KEY = b"nightglass.batches"
_COMPUTE_KEY = b"nightglass.compute_seconds"
_BACKEND_KEY = b"nightglass.backend"


@dataclass(frozen=True)
class Shard:
    """Rows ``start`` to ``stop`` of the manifest."""

    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """File name of the shard's scores."""
        return f"{self.number:05d}.parquet"


def plan_shards(num_images: int, shard_size: int) -> list[Shard]:
    """Cut ``num_images`` rows into at most 256 shards, as Airflow maps a task for each."""
    size = max(shard_size, -(-num_images // MAX_SHARDS))
    starts = range(0, num_images, size)
    return [Shard(number, start, min(start + size, num_images)) for number, start in enumerate(starts)]


def score_key(manifest: Manifest, detector: Detector, options: Scoring) -> str:
    """Return what the scores depend on, as one sha256: a finished shard with another key is of no use."""
    parts = [
        manifest.data_version,
        detector.fingerprint,
        options.model_dump(include={"shard_size", "batch_size", "max_pixels", "max_file_bytes", "suffix_mismatch"}),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def shards_folder(out: Folder, key: str) -> Folder:
    """Return the folder of the finished shards of the run with this `score_key`."""
    return out.child(f"{SHARDS_NAME}/{key[:16]}")


def score_batch(batch: EmbeddedBatch, detector: Detector, times: StageTimes) -> list[dict[str, object]]:
    """Return the rows of a batch's images, in the form of `SHARD_SCHEMA` but without the images' sizes."""
    with times.measure("search"):
        return list(_score_batch(batch, detector))


class ShardWriter:
    """Gathers the rows of one shard after the other and writes each shard's file into ``target``.

    Args:
        manifest: The images.
        target: Folder of the shards.
        times: Where the stages' busy times are; what was added since the last shard is noted in a shard's file.
        begun_at: `time.perf_counter` of when work on the first one began.
    """

    def __init__(self, manifest: Manifest, target: Folder, times: StageTimes, begun_at: float) -> None:
        self._manifest, self._target, self._times = manifest, target, times
        self._begun_at = begun_at
        self._before = times.seconds()
        times.take_batches()
        self._rows: list[dict[str, object]] = []

    def add(self, rows: list[dict[str, object]]) -> None:
        """Keep rows of the next shard."""
        self._rows.extend(rows)

    def write(self, shard: Shard, backend_name: str) -> int:
        """Write a shard of the kept rows and those that were quarantined when they were listed.

        Returns:
            How many the latter are.
        """
        with self._times.measure("write"):
            part = self._manifest.table.slice(shard.start, shard.stop - shard.start)
            listed = part.select(["path", "width", "height", "reason", "detail"]).to_pylist()
            refused = [{key: row[key] for key in ("path", "reason", "detail")} for row in listed if row["reason"]]
            sizes = {row["path"]: {"width": row["width"], "height": row["height"]} for row in listed}
            scored = [row if "reason" in row else row | sizes[str(row["path"])] for row in self._rows]
            rows = sorted([*refused, *scored], key=lambda row: str(row["path"]).encode())
            table = pa.Table.from_pylist(rows, schema=SHARD_SCHEMA.with_metadata(self._take_note(backend_name)))
            self._target.write_table(shard.name, table)
        self._rows = []
        return len(refused)

    def _take_note(self, backend_name: str) -> dict[bytes, str]:
        """Return what was spent since the last shard's note; what other stages took is told by the whole run."""
        now, before, after = time.perf_counter(), self._before, self._times.seconds()
        spent = {stage: round(after.get(stage, 0.0) - before.get(stage, 0.0), 6) for stage in _NOTED_STAGES}
        begun_at, self._begun_at, self._before = self._begun_at, now, after
        return {
            _SECONDS_KEY: json.dumps({stage: seconds for stage, seconds in spent.items() if seconds > 0}),
            _BATCHES_KEY: json.dumps(self._times.take_batches()),
            _COMPUTE_KEY: json.dumps(round(now - begun_at, 6)),
            _BACKEND_KEY: backend_name,
        }


def stage_seconds_of(shard: pa.Table) -> dict[str, float]:
    """Return the busy seconds per stage from the shard written before to this one, as its file notes them."""
    noted: dict[str, float] = json.loads((shard.schema.metadata or {}).get(_SECONDS_KEY, b"{}"))
    return noted


def compute_seconds_of(shard: pa.Table) -> float:
    """Return how long a worker was held from the shard written before to this one; 0 in one of an older version."""
    return float(json.loads((shard.schema.metadata or {}).get(_COMPUTE_KEY, b"0")))


def backend_of(shard: pa.Table) -> str | None:
    """Return what computed a shard's embeddings, as its file notes it; None in one of an older version."""
    noted = (shard.schema.metadata or {}).get(_BACKEND_KEY)
    return noted.decode() if noted else None


def batches_of(shard: pa.Table) -> list[BatchTime]:
    """Return the seconds an image of each batch that ended meanwhile; none in a file of an older version."""
    noted: list[BatchTime] = json.loads((shard.schema.metadata or {}).get(_BATCHES_KEY, b"[]"))
    return [(seconds, images) for seconds, images in noted]


def _score_batch(batch: EmbeddedBatch, detector: Detector) -> Iterator[dict[str, object]]:
    for row, error in batch.quarantined:
        yield {"path": row.path, "reason": str(error.reason), "detail": error.detail}
    if not batch.rows:
        return
    scores = detector.score(batch.embedded)
    vectors = scores.projected.astype(np.float16)
    for i, row in enumerate(batch.rows):
        brightness, contrast, sharpness, colourfulness = map(float, batch.statistics[i])
        yield {
            "path": row.path,
            "sha256": row.sha256,
            "image_score": float(scores.image_score[i]),
            "is_anomalous": bool(scores.is_anomalous[i]),
            "nearest_path": detector.bank_paths[int(scores.nearest_rows[i, 0])],
            "nearest_distance": float(scores.nearest_distances[i, 0]),
            "brightness": brightness,
            "contrast": contrast,
            "sharpness": sharpness,
            "colourfulness": colourfulness,
            "vector": vectors[i].tobytes(),
        }
