"""Published nights for the tests of the pages: their folders, and their rows."""

from datetime import UTC, datetime

import pyarrow as pa

from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.storage import open_folder
from tests.unit.night.test_report import make_anomalies, make_assessment

SLICES = r"(?P<camera>left|right)/"


def cut_into_slices(settings):
    """Let `cells` have the slices `camera=left` and `camera=right`."""
    file = settings.collections_dir / "cells.yaml"
    file.write_text(f"{file.read_text()}slices: '{SLICES}'\n")


def publish(home, store, name, *, night="2026-07-24", count=4, at=None, content=lambda rank: rank, **changes):
    """Publish a night of `cells`; ``name`` makes the path of a rank, ``content`` the number that is its sha256."""
    folder = home / "nights/cells" / night
    anomalies = [
        image.model_copy(update={"sha256": f"{content(image.rank):064x}", "path": name(image.rank)})
        for image in make_anomalies(folder, count)
    ]
    assessment = make_assessment(anomalies, night=night, **changes)
    (folder / "assessment.json").write_text(assessment.model_dump_json())
    with store:
        store.publish_night(assessment, "report.html", at or datetime.now(UTC))
    return folder


def list_images(folder, paths):
    """Write the manifest of a night: what a verdict on a slice is counted in."""
    rows = [{"path": path, "raw_path": path.encode(), "size_bytes": 1, "sha256": "0" * 64} for path in paths]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_manifest(Manifest(table, ignored=0, data_version="9f2c"), open_folder(folder))
