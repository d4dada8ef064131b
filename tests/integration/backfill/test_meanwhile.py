"""A backfill over nights that are listed anew, forbidden, or lose an image meanwhile."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nightglass.backfill import scoring
from nightglass.backfill.lanes import judge_lanes
from nightglass.backfill.records import BackfillPlan
from nightglass.backfill.scoring import score_lane
from nightglass.collections import read_collection
from nightglass.engine.score import finish_scores
from nightglass.maintenance.forget import forget_image
from nightglass.settings import read_settings
from tests.integration.backfill.steps import NIGHTS, backfill, lanes_of, view
from tests.integration.deletion_requests import request_deletion_of
from tests.integration.retraining_shadow import files_of
from tests.integration.retraining_steps import Home

pytestmark = pytest.mark.integration


def test_a_night_that_is_listed_anew_meanwhile_costs_no_other(home: Home) -> None:
    lanes = lanes_of(home)
    for lane in lanes:
        score_lane(BackfillPlan(**lane))
    # As the nightly run does before it lists other images.
    night = home.path / "nights/panels" / NIGHTS[0]
    shutil.rmtree(night / "rescored")
    (night / "assessment.json").unlink()
    done = judge_lanes(lanes)
    assert [(skipped.night, "assessment.json" in skipped.reason) for skipped in done.skipped] == [(NIGHTS[0], True)]
    assert [row["night"] for row in view(home)] == NIGHTS[1:]


def test_a_folder_that_is_not_allowed_any_more_costs_no_other_night(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tmp_path / "images" / NIGHTS[0], tmp_path / "elsewhere")
    home.execute(f"UPDATE night_results SET images_url = '{tmp_path}/elsewhere' WHERE night = '{NIGHTS[0]}'")
    monkeypatch.setenv("NIGHTGLASS_IMAGES_FROM", "own")
    done = backfill(home, until=NIGHTS[1])
    assert [(night.night, "NIGHTGLASS_IMAGES_FROM" in night.reason) for night in done.skipped] == [(NIGHTS[0], True)]
    assert [row["night"] for row in view(home)] == [NIGHTS[1]]


def forget_one(home: Home) -> str:
    """Delete a good image of the first night, and return its name."""
    image = sorted((home.path.parent / "images" / NIGHTS[0] / "early").iterdir())[20]
    request = request_deletion_of(image, collection="panels")
    done = forget_image(read_collection(Path(home.file)), read_settings(), request, is_idle=lambda: True)
    assert done.nights == [NIGHTS[0]]
    return image.name


def test_an_image_that_was_deleted_is_left_out_on_both_sides(home: Home) -> None:
    forget_one(home)
    done = backfill(home, until=NIGHTS[0])
    assert done.skipped == []
    (row,) = view(home)
    assert (row["scored"], row["left_out"]) == (60, 1)


def test_an_image_that_is_deleted_while_its_night_is_scored_does_not_come_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = []

    def delete_then_finish(*arguments: Any) -> Any:
        deleted.append(forget_one(home))
        return finish_scores(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "finish_scores", delete_then_finish)
        done = backfill(home, until=NIGHTS[0])
    assert [(night.night, "deleted on request" in night.reason) for night in done.skipped] == [(NIGHTS[0], True)]
    assert [name for name in files_of(home, NIGHTS[0]) if name.startswith("rescored")] == ["rescored/2/skipped.txt"]
    assert len(deleted) == 1

    assert backfill(home, until=NIGHTS[0]).skipped == []
    scores = pq.read_table(home.path / "nights/panels" / NIGHTS[0] / "rescored/2/scores.parquet")["path"].to_pylist()
    assert (len(scores), f"early/{deleted[0]}" in scores) == (60, False)
