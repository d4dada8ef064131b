"""Where costs come from: a collection's nights before anything else, the table at the end."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from nightglass.capacity import sources
from nightglass.capacity.nights import costs_of_nights
from nightglass.capacity.sources import find_costs
from nightglass.errors import InputError
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.settings import read_settings
from nightglass.storage import open_folder
from nightglass.store import Store
from tests.unit.capacity.test_forecast import costs
from tests.unit.night.test_report import make_assessment

ASKED = {"source": None, "megapixels": None, "image_bytes": None, "device": "auto", "cores": 2}


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """The file of a collection without nights."""
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    path = tmp_path / "cells.yaml"
    path.write_text("images: /data/{night}\nscoring: {device: cpu}")
    return path


def publish(night, *, images=100, workers=2, parts=None, **changes):
    """Write a night as the nightly DAG leaves it, as far as costs are read of it."""
    settings = read_settings()
    folder = open_folder(f"{settings.nights_url}/cells/{night}")
    listed = {"size_bytes": 400_000, "width": 2000, "height": 1000}
    rows = [listed | {"path": f"{number}.jpg"} for number in range(images)]
    write_manifest(Manifest(pa.Table.from_pylist(rows, schema=SCHEMA), 0, "d"), folder)
    for name in ("scores.parquet", "embeddings.faiss", "anomaly_maps/0001.map.png"):
        folder.write_bytes(name, b"x" * 1000)
    summary = {
        "images": images, "workers": workers, "top_k": 4, "stage_seconds": {"decode": 3.0, "embed": 1.0},
        "compute_parts": parts or {"list": 1.0, "shards": 5.0, "finish": 2.0},
    }  # fmt: skip
    folder.write_bytes("summary.json", json.dumps(summary | changes).encode())
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        store.publish_night(make_assessment([]).model_copy(update={"night": night}), "r", datetime.now(UTC))
    return folder


def test_the_last_nights_say_what_an_image_costs(file):
    publish("2026-03-01")
    publish("2026-03-02", images=300, parts={"list": 1.0, "shards": 35.0, "finish": 4.0})
    found = costs_of_nights(file)
    assert found.told == "the last 2 measured nights of cells"
    assert (found.images, found.cores, found.device, found.source) == (400, 2, "cpu", "nights")
    assert (found.megapixels, found.image_bytes) == (2.0, 400_000)
    assert (found.list_seconds, found.shard_seconds, found.finish_seconds) == (2 / 400, 40 / 400, 3.0)
    assert (found.stage_shares["decode"], found.stage_shares["embed"]) == (0.75, 0.25)
    assert found.load_seconds == 0
    assert found.picture_bytes == 250


def test_nights_that_say_nothing_are_left_out(file):
    publish("2026-03-01")
    publish("2026-03-02", compute_parts=None)  # an older Nightglass wrote it
    publish("2026-03-03").remove("manifest.parquet")
    publish("2026-03-04", workers=8)  # on another machine, and the newest that counts
    assert costs_of_nights(file).cores == 8
    publish("2026-03-05", parts={"list": 1.0, "shards": 0.0, "finish": 1.0})
    assert costs_of_nights(file).images == 100


def test_a_collection_without_a_measured_night_has_none(file):
    assert costs_of_nights(file) is None
    with pytest.raises(InputError, match="expected a --collection with a night that was measured, got none"):
        find_costs(**ASKED | {"file": file, "source": "nights"})
    with pytest.raises(InputError, match="--megapixels: expected how large the images are"):
        find_costs(**ASKED | {"file": file})


def test_nights_come_first_and_other_sizes_are_told(file):
    publish("2026-03-01")
    found, notes = find_costs(**ASKED | {"file": file})
    assert (found.source, found.megapixels, notes) == ("nights", 2.0, [])
    found, notes = find_costs(**ASKED | {"file": file, "megapixels": 12.0, "cores": 4})
    assert (found.megapixels, found.image_bytes) == (12.0, 2_400_000)
    assert notes == [
        "measured on images of 2 megapixels: reading and decoding grow with the pixels",
        "measured on 2 cores: every core counts the same",
    ]


def test_cores_are_told_where_others_are_asked_for_and_nowhere_else(file, monkeypatch):
    publish("2026-03-01", workers=8)
    scaled = "measured on {} cores: every core counts the same"
    # Nobody asked for cores: the nights' own are taken, whatever this machine has.
    assert find_costs(**ASKED | {"file": file, "cores": None})[1] == []
    assert find_costs(**ASKED | {"file": file, "cores": 4})[1] == [scaled.format(8)]
    monkeypatch.setattr(sources, "MACHINES", (costs(cores=2),))
    table = ASKED | {"file": None, "source": "table", "megapixels": 1.0}
    assert find_costs(**table | {"cores": None})[1] == []
    assert find_costs(**table | {"cores": 4})[1] == [scaled.format(2)]
    monkeypatch.setattr("nightglass.capacity.measuring.measure_costs", lambda *_, **__: costs(cores=2))
    measured = table | {"source": "measured"}
    assert find_costs(**measured | {"cores": None})[1] == []
    assert find_costs(**measured | {"cores": 16})[1] == [scaled.format(2)]


def test_the_table_names_its_machine_and_takes_the_nearest_size(monkeypatch):
    known = tuple(costs(megapixels=megapixels, told=f"a machine, {megapixels}") for megapixels in (0.1, 1.0, 12.0))
    monkeypatch.setattr(sources, "MACHINES", known)
    found, notes = find_costs(**ASKED | {"file": None, "source": "table", "megapixels": 10.0})
    assert found.told == "a machine, 12.0"
    assert notes == []
    found, notes = find_costs(**ASKED | {"file": None, "source": "table", "megapixels": 3.0, "image_bytes": 5.0})
    assert (found.told, found.image_bytes, len(notes)) == ("a machine, 1.0", 5.0, 1)
    with pytest.raises(InputError, match="--device cuda: expected one of this machine or of the table, got none"):
        find_costs(**ASKED | {"file": None, "source": "table", "megapixels": 1.0, "device": "cuda"})


def test_the_committed_table_has_sizes_for_a_cpu():
    assert len({found.megapixels for found in sources.MACHINES}) >= 3
    for found in sources.MACHINES:
        assert sum(found.stage_shares.values()) == pytest.approx(1, abs=0.01)
        assert found.source == "table"
