"""Score folders as the engine writes them, of images and vectors that a test says."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightglass.detector.night_space import DIMENSIONS, new_index
from nightglass.engine.shards import SCORE_FIELDS
from nightglass.similar.night import ScoredNight
from nightglass.storage import open_folder

_ROWS_A_GROUP = 3


def unit(seed, near=None, noise=0.1):
    """A vector of length 1, near another one or anywhere."""
    random = np.random.default_rng(seed)
    vector = random.normal(0, 1, DIMENSIONS)
    if near is not None:
        vector = near + noise * vector / np.linalg.norm(vector)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def sha(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def write_scores(folder: Path, images: Mapping[str, str], vectors, scores=None, threshold=1.5) -> Path:
    """Write a score folder of ``images`` (path -> sha256), whose rows have these vectors, the summary last."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (path, sha256) in enumerate(images.items()):
        score = 1.0 + number / 100 if scores is None else scores[number]
        known = {"path": path, "sha256": sha256, "image_score": score, "is_anomalous": score >= threshold,
                 "nearest_path": "good/<i>1</i>.png", "nearest_distance": 0.5, "width": 120, "height": 90}  # fmt: skip
        rows.append(dict.fromkeys(("brightness", "contrast", "sharpness", "colourfulness"), 12.5) | known)
    table = pa.Table.from_pylist(rows, schema=pa.schema(SCORE_FIELDS))
    pq.write_table(table, folder / "scores.parquet", row_group_size=_ROWS_A_GROUP)
    index = new_index()
    index.add(np.asarray(vectors, np.float32).reshape(-1, DIMENSIONS))
    faiss.write_index(index, str(folder / "embeddings.faiss"))
    (folder / "top_anomalies.json").write_text(json.dumps({"top_anomalies": []}))
    (folder / "summary.json").write_text(json.dumps({"scored": len(rows)}))
    return folder


def scored_night(folder: Path, scored: int, night="2026-07-24", collection="cells", version="8") -> ScoredNight:
    return ScoredNight(collection, night, f"nightglass-{collection}", version, scored, open_folder(folder))
