"""The golden set: labelled images that both models are always measured on, and that no challenger is fitted on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.errors import InputError
from nightglass.images.labels import count_unknown_labels, read_labels
from nightglass.images.manifest import Manifest, build_manifest
from nightglass.retraining.gathering import GATHERED_SCHEMA, GOLDEN, NightImages
from nightglass.storage import Folder, open_folder


def gather_golden(
    champion: Detector, collection: Collection, *, storage_options: Mapping[str, Any] | None, workers: int
) -> NightImages | None:
    """Read, label and score the golden set with the champion; None where the collection has none.

    Raises:
        InputError: The folder or the labels are missing or wrong, or no label is of an image.
    """
    golden, url = collection.retraining.golden, collection.golden_url
    if golden is None or url is None:
        return None
    folder = open_folder(url, storage_options if url.startswith("s3://") else None)
    manifest = build_manifest(folder, collection.suffixes, collection.scoring, workers=workers, sample_brightness=False)
    with folder.as_local(golden.labels) as path:
        if not path.is_file():
            raise InputError(f"{folder.url}/{golden.labels}: expected the golden set's labels, got nothing there")
        labels = read_labels(path)
        count_unknown_labels(labels, manifest, Path(f"{folder.url}/{golden.labels}"))
    is_labelled = pc.is_in(manifest.table["path"], pa.array(list(labels), pa.string()))
    listed = Manifest(manifest.table.filter(is_labelled), 0, "")
    return _score(listed, folder, champion, collection, labels, workers)


def _score(
    listed: Manifest,
    folder: Folder,
    champion: Detector,
    collection: Collection,
    labels: Mapping[str, str],
    workers: int,
) -> NightImages:
    options, size = collection.scoring, champion.options.backbone.image_size
    backend = champion.open_backend(workers, options.device)
    scores: dict[str, float] = {}
    vectors = []
    with Pipeline(folder, backend, size, options, workers=workers, times=StageTimes()) as pipeline:
        for batch in pipeline.embed(listed.image_rows()):
            if batch.rows:
                found = champion.score(batch.embedded)
                scores |= dict(zip((row.path for row in batch.rows), found.image_score.tolist(), strict=True))
                vectors.append(found.projected)
    if not scores:
        raise InputError(f"{folder.url}: expected labelled images that can be read, got none")
    table = listed.table.filter(pc.is_in(listed.table["path"], pa.array(list(scores), pa.string())))
    paths = table["path"].to_pylist()
    url = folder.root if folder.is_local else folder.url
    columns = {
        "path": pa.array([f"{GOLDEN}/{path}" for path in paths], pa.string()),
        "source": pa.array([GOLDEN] * len(paths), pa.string()),
        "images_url": pa.array([url] * len(paths), pa.string()),
        "path_in_folder": table["path"],
        **{name: table[name] for name in ("raw_path", "size_bytes", "modified_at", "sha256", "width", "height")},
        "label": pa.array([labels[path] for path in paths], pa.string()),
        "reason": pa.nulls(len(paths), pa.string()),
        "image_score": pa.array([scores[path] for path in paths], pa.float64()),
        "is_anomalous": pa.array([scores[path] >= champion.calibration.image_threshold for path in paths]),
    }
    described = pa.table([columns[name] for name in GATHERED_SCHEMA.names], GATHERED_SCHEMA)
    return NightImages(GOLDEN, described, np.concatenate(vectors), by_champion=True)
