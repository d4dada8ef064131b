"""What a detector was fitted on, kept inside it: where every training image lay, its sha256, and why it was chosen."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightglass.detector.files import TRAINING
from nightglass.engine.training import TrainingImages
from nightglass.images.manifest import Manifest
from nightglass.storage import Folder

#: ``path`` names an image to people and is unique; ``path_in_folder`` (and ``raw_path``, as in a manifest) finds it
#: below ``images_url``. ``source`` is a night, or `BY_HAND`.
TRAINING_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("source", pa.string()),
        ("images_url", pa.string()),
        ("path_in_folder", pa.string()),
        ("raw_path", pa.binary()),
        ("size_bytes", pa.int64()),
        ("modified_at", pa.timestamp("us", tz="UTC")),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("label", pa.string()),
        ("reason", pa.string()),
    ]
)
BY_HAND = "training"
#: The ``reason`` of an image that was deleted on request after a detector was fitted on it; its names are gone.
DELETED = "deleted on request"


def record_training(images: Folder, manifest: Manifest, training: TrainingImages) -> pa.Table:
    """Return the record of a fit on one folder, in the manifest's order."""
    chosen = {row.path for row in (*training.good, *training.defects)}
    table = manifest.table.filter(pc.is_in(manifest.table["path"], pa.array(sorted(chosen), pa.string())))
    defects = {row.sha256 for row in training.defects}
    labels = [
        "defect" if sha256 in defects else "normal" if sha256 in training.called_normal else None
        for sha256 in table["sha256"].to_pylist()
    ]
    url = images.root if images.is_local else images.url
    columns = {
        "path": table["path"],
        "source": pa.array([BY_HAND] * len(labels), pa.string()),
        "images_url": pa.array([url] * len(labels), pa.string()),
        "path_in_folder": table["path"],
        **{name: table[name] for name in ("raw_path", "size_bytes", "modified_at", "sha256", "width", "height")},
        "label": pa.array(labels, pa.string()),
        "reason": pa.array(["fitted by hand"] * len(labels), pa.string()),
    }
    return pa.table([columns[name] for name in TRAINING_SCHEMA.names], TRAINING_SCHEMA)


def read_training(detector_folder: Path) -> pa.Table:
    """Return the record of a saved detector."""
    return pq.ParquetFile(detector_folder / TRAINING).read().cast(TRAINING_SCHEMA)
