"""The images that a retraining may use: those of recent nights, with what is known of each."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nightglass.detector.night_space import DIMENSIONS
from nightglass.engine.merge import INDEX_NAME, SCORES_NAME
from nightglass.engine.results import SUMMARY_NAME
from nightglass.engine.training_record import TRAINING_SCHEMA
from nightglass.images.manifest_file import read_manifest
from nightglass.storage import Folder

_MANIFEST_COLUMNS = ("path", "raw_path", "size_bytes", "modified_at")
_SCORE_COLUMNS = ["path", "sha256", "image_score", "is_anomalous", "width", "height"]
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")
GOLDEN = "golden"  # in place of a night
_MAX_IMAGES = 100_000  # of all nights together; more are drawn at random
#: What is gathered of an image: its part of the training record, and what the champion said.
GATHERED_SCHEMA = pa.schema([*TRAINING_SCHEMA, ("image_score", pa.float64()), ("is_anomalous", pa.bool_())])


@dataclass(frozen=True)
class NightImages:
    """The scored images of one night; ``vectors (N, 128)`` are their places in the night's index.

    ``by_champion`` tells whether the present champion scored them: else scores and vectors say nothing about it.
    """

    night: str
    table: pa.Table
    vectors: NDArray[np.float32]
    by_champion: bool


def find_nights(nights: Folder, since: str | None, until: str | None, count: int) -> list[str]:
    """Return the last ``count`` nights (from ``since`` to ``until``, both included) that have scores, oldest first."""
    found = [
        name
        for name in nights.names()
        if _NIGHT.fullmatch(name) and (since or "") <= name and (until is None or name <= until)
    ]
    scored: list[str] = []
    for night in reversed(found):
        if len(scored) == count:
            break
        # Nights that lost their embeddings as too old are of no use here.
        if nights.exists(f"{night}/{SUMMARY_NAME}") and nights.exists(f"{night}/{INDEX_NAME}"):
            scored.append(night)
    return scored[::-1]


def gather_nights(nights: Folder, chosen: list[str], model_version: str, seed: int) -> Iterator[NightImages]:
    """Read the scored images of the nights ``chosen``.

    Args:
        nights: The folder of the collection's nights.
        chosen: Which nights.
        model_version: As a night's summary has it for the champion.
        seed: Of the choice among more images than are looked at.
    """
    for night in chosen:
        folder = nights.child(night)
        summary = json.loads(folder.read_bytes(SUMMARY_NAME))
        by_champion = summary["model_version"] == model_version
        scores = folder.read_table(SCORES_NAME, _SCORE_COLUMNS)
        rows = _choose(len(scores), -(-_MAX_IMAGES // len(chosen)), seed)
        table = _describe(scores.take(pa.array(rows)), folder, night, summary)
        yield NightImages(night, table, _read_vectors(folder, rows), by_champion)


def _choose(total: int, most: int, seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).permutation(total)[:most])


def _describe(scores: pa.Table, folder: Folder, night: str, summary: Mapping[str, Any]) -> pa.Table:
    """Join scores with the manifest's row of each image, in the scores' order."""
    manifest = read_manifest(folder, columns=_MANIFEST_COLUMNS).table
    listed = manifest.take(pc.index_in(scores["path"], manifest["path"].combine_chunks()))
    count = len(scores)
    columns = {
        "path": pc.binary_join_element_wise(night, scores["path"], "/"),
        "source": pa.array([night] * count, pa.string()),
        "images_url": pa.array([summary["images_url"]] * count, pa.string()),
        "path_in_folder": scores["path"],
        **{name: listed[name] for name in ("raw_path", "size_bytes", "modified_at")},
        **{name: scores[name] for name in ("sha256", "width", "height", "image_score", "is_anomalous")},
        "label": pa.nulls(count, pa.string()),
        "reason": pa.nulls(count, pa.string()),
    }
    return pa.table([columns[name] for name in GATHERED_SCHEMA.names], GATHERED_SCHEMA)


def _read_vectors(folder: Folder, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    with folder.as_local(INDEX_NAME) as path:
        index = faiss.read_index(str(path))
    if not len(rows):
        return np.empty((0, DIMENSIONS), np.float32)
    return np.asarray(index.reconstruct_batch(rows), dtype=np.float32)
