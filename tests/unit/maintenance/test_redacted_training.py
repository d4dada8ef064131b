"""An image that is deleted while a retraining gathers its images is not fitted on."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from nightglass.engine.training_record import DELETED, TRAINING_SCHEMA
from nightglass.maintenance.deletion_records import DeletionRequest
from nightglass.records import ModelRef
from nightglass.retraining import flow
from nightglass.retraining.plan import FROZEN_NAME, TRAINING_NAME, Request, RetrainPlace, RetrainPlan
from nightglass.retraining.snapshot import FROZEN_SCHEMA
from nightglass.store import Store

GONE, KEPT = "0" * 64, "1" * 64


class ReachedError(Exception):
    """The fit got as far as looking for a version."""


def write_record(place: RetrainPlace, name: str, schema: pa.Schema) -> None:
    rows = [
        {"path": f"{digest[0]}.png", "path_in_folder": f"{digest[0]}.png", "images_url": "/images", "sha256": digest}
        for digest in (GONE, KEPT)
    ]
    place.folder.write_table(name, pa.Table.from_pylist(rows, schema))


def test_what_was_deleted_during_the_snapshot_is_marked_before_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))
    file = tmp_path / "line.yaml"
    file.write_text("images: /images/{night}\n")
    place = RetrainPlace.open(str(file), "r1", None)
    request = DeletionRequest(
        collection="line", digest=GONE, is_original_deleted=False, by="ana", reason="asked", asked_at="2026-03-09"
    )
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        store.upkeep.deletions.begin(request)
    # The snapshot had read the night before the image went from it, and is written down only now.
    write_record(place, TRAINING_NAME, TRAINING_SCHEMA)
    write_record(place, FROZEN_NAME, FROZEN_SCHEMA)
    plan = RetrainPlan(
        collection="line",
        collection_file=str(file),
        request=Request(run="r1", requested_by="ana", reason="a test"),
        folder_url=place.folder.url,
        champion=ModelRef(name="nightglass-line", version="1"),
        champion_fingerprint="f",
        data_version="d",
        started_at=datetime.now(UTC).isoformat(),
    )

    def stop(*_: object) -> None:
        raise ReachedError

    monkeypatch.setattr(flow, "find_fitted", stop)
    with pytest.raises(ReachedError):
        flow.fit(plan)
    for name in (TRAINING_NAME, FROZEN_NAME):
        gone, kept = place.folder.read_table(name).to_pylist()
        assert (gone["reason"], gone["sha256"], "0.png" in repr(gone)) == (DELETED, GONE, False), name
        assert (kept["reason"], kept["path"]) == (None, "1.png")
