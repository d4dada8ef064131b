"""A home with many drawn nights: vectors of length 1 around some centres, in files as the engine writes them."""

import hashlib
import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLLECTION, LARGE_COLLECTION = "many", "large"
LAST_NIGHT = date(2026, 7, 24)
_GROUP_ROWS = 4_000
_CENTRES, _SPREAD = 50, 0.05


def draw_home(root: Path, nights: int, rows: int, large: int) -> None:
    """Write a home with ``nights`` nights of ``rows`` images, and one of ``large`` images in another collection."""
    random = np.random.default_rng(0)
    centres = random.normal(0, 1, (_CENTRES, 128))
    (root / "collections").mkdir(parents=True)
    for name in (COLLECTION, LARGE_COLLECTION):
        (root / f"collections/{name}.yaml").write_text(f"images: '{root}/none/{{night}}'\nschedule: null\n")
    for back in range(nights):
        _draw_night(root / "home", COLLECTION, (LAST_NIGHT - timedelta(days=back)).isoformat(), rows, centres, random)
    _draw_night(root / "home", LARGE_COLLECTION, LAST_NIGHT.isoformat(), large, centres, random)


def _draw_night(
    home: Path, collection: str, night: str, rows: int, centres: NDArray[np.float64], random: np.random.Generator
) -> None:
    import faiss
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nightglass.detector.night_space import new_index
    from nightglass.engine.shards import SCORE_FIELDS

    print(f"{collection} {night}: {rows:,} images …", file=sys.stderr)
    folder = home / "nights" / collection / night
    folder.mkdir(parents=True)
    index = new_index()
    with pq.ParquetWriter(folder / "scores.parquet", pa.schema(SCORE_FIELDS), compression="zstd") as file:
        for start in range(0, rows, _GROUP_ROWS):
            count = min(_GROUP_ROWS, rows - start)
            paths = [_path_of(collection, night, row) for row in range(start, start + count)]
            known = {
                "path": paths,
                "sha256": [hashlib.sha256(path.encode()).hexdigest() for path in paths],
                "is_anomalous": [False] * count,
                "nearest_path": ["good/0001.jpg"] * count,
                "width": [4000] * count,
                "height": [3000] * count,
            }
            drawn = [known.get(name, random.uniform(0, 1, count)) for name, _ in SCORE_FIELDS]
            columns = [pa.array(values, kind) for values, (_, kind) in zip(drawn, SCORE_FIELDS, strict=True)]
            file.write_table(pa.table(columns, schema=pa.schema(SCORE_FIELDS)))
            vectors = centres[random.integers(0, _CENTRES, count)] / 128**0.5
            vectors = vectors + random.normal(0, _SPREAD, vectors.shape)
            index.add((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    faiss.write_index(index, str(folder / "embeddings.faiss"))
    (folder / "top_anomalies.json").write_text('{"top_anomalies": []}')
    (folder / "summary.json").write_text(json.dumps({"scored": rows}))


def publish_home(root: Path, nights: int, rows: int, large: int) -> None:
    """Write the nights' rows into the results database of the home."""
    from nightglass.records import Assessment, Baseline, Decision, DriftReport, Histogram, Verb
    from nightglass.settings import read_settings
    from nightglass.store import Store

    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        known = [(COLLECTION, (LAST_NIGHT - timedelta(days=back)).isoformat(), rows) for back in range(nights)]
        for collection, night, scored in [*known, (LARGE_COLLECTION, LAST_NIGHT.isoformat(), large)]:
            assessment = Assessment(
                collection=collection, night=night, images_url=f"{root}/none/{night}", data_version="drawn",
                model_name="drawn", model_version="1", num_neighbors=3, images=scored, ignored=0, quarantined=0,
                scored=scored, anomalous=0, anomaly_rate=0.0, image_threshold=1.0, false_alarm_rate=0.01,
                score_histogram=Histogram(edges=[0, 1], counts=[scored]), quarantine_reasons={}, quarantine_sample=[],
                validation=None, drift=DriftReport(statistics=[], embedding=None), top_anomalies=[],
                baseline=Baseline(source="learning", nights=0, scored=0, anomalous=0, anomaly_rate=None),
                decision=Decision(verb=Verb.OK, sentence="Drawn.", reasons=[]),
            )  # fmt: skip
            store.publish_night(assessment, "report.html", datetime.now(UTC))


def content_of(collection: str, night: str, row: int) -> str:
    """Return the sha256 of a drawn image."""
    return hashlib.sha256(_path_of(collection, night, row).encode()).hexdigest()


def _path_of(collection: str, night: str, row: int) -> str:
    return f"camera-{row % 7}/{collection}-{night}-{row:08d}.jpg"
