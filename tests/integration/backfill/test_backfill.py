"""Nights that were decided with version 1, scored again with version 2, which knows a new kind of panels as good."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from nightglass.backfill.lanes import judge_lanes
from nightglass.backfill.records import BackfillPlan
from nightglass.backfill.scoring import score_lane
from nightglass.errors import InputError, ModelError
from nightglass.records import ModelRef
from nightglass.storage import open_folder
from tests.integration.backfill.steps import NEW_NIGHT, NIGHTS, backfill, lanes_of, view
from tests.integration.retraining_shadow import files_of
from tests.integration.retraining_steps import Home, write_night

pytestmark = pytest.mark.integration


def decided_rows(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in home.every_row().items() if name != "rescored_night_results"}


def published_files(home: Home) -> dict[str, dict[str, bytes]]:
    """Every file of the nights but those of the other version."""
    found = {night: files_of(home, night) for night in NIGHTS}
    return {
        night: {name: data for name, data in files.items() if not name.startswith("rescored/")}
        for night, files in found.items()
    }


def test_old_and_new_stand_side_by_side_and_what_was_decided_stays(home: Home) -> None:
    before = decided_rows(home), published_files(home)
    done = backfill(home, parallel=2)

    assert (decided_rows(home), published_files(home)) == before
    rows = view(home)
    assert [row["night"] for row in rows] == NIGHTS
    assert {(row["champion_version"], row["model_version"], row["left_out"]) for row in rows} == {("1", "2", 0)}
    new = rows[2]
    assert new["champion_decision"] == "retrain"
    assert new["decision"] != "retrain"
    assert new["champion_anomaly_rate"] > 2 * new["anomaly_rate"]
    assert new["only_champion"] > 20
    assert new["top_k_overlap"] < new["top_k"] == 4
    for row in rows[:2]:
        assert row["scored"] == 61
        assert row["rank_correlation"] > 0.3
    assert done.decided_otherwise == sum(row["decision"] != row["champion_decision"] for row in rows) >= 1
    assert done.sentence.startswith("panels: version 2 would have decided otherwise on")
    assert (done.changed, done.skipped, len(done.nights)) == (3, [], 3)
    for night in NIGHTS:
        folder = open_folder(str(home.path / "nights/panels" / night / "rescored/2"))
        assert {"scores.parquet", "embeddings.faiss", "assessment.json", "rescored.json"} <= set(folder.names())
        assert not {".shards", ".lock", "skipped.txt"} & set(folder.names())


def test_a_second_time_costs_nothing_and_changes_nothing(home: Home) -> None:
    backfill(home, until=NIGHTS[1])
    rows, files = home.every_row(), {night: files_of(home, night) for night in NIGHTS}
    (lane,) = lanes_of(home, until=NIGHTS[1])
    assert {night["is_scored"] for night in lane["nights"]} == {True}
    shutil.rmtree(home.path.parent / "images")  # nothing is read again
    assert score_lane(BackfillPlan(**lane))["scored"] == 0
    done = judge_lanes([lane])
    assert (done.changed, len(done.nights)) == (0, 2)
    assert (home.every_row(), {night: files_of(home, night) for night in NIGHTS}) == (rows, files)


def test_it_is_the_same_in_pieces_and_as_a_whole(home: Home) -> None:
    """The decision looks at the night before: it is the same whoever scored which night first."""
    for night in reversed(NIGHTS):
        backfill(home, since=night, until=night)
    backfill(home)
    apart = [{**row, "compute_seconds": 0, "published_at": ""} for row in view(home)]
    home.execute("DELETE FROM rescored_night_results")
    for night in NIGHTS:
        shutil.rmtree(home.path / "nights/panels" / night / "rescored")
    backfill(home, parallel=3)
    assert [{**row, "compute_seconds": 0, "published_at": ""} for row in view(home)] == apart


def test_nights_whose_images_are_gone_are_named_and_cost_no_other(home: Home) -> None:
    images = home.path.parent / "images"
    shutil.rmtree(images / NIGHTS[0])
    for image in sorted((images / NIGHTS[1] / "early").iterdir())[:10]:
        image.unlink()
    first, *rest = sorted((images / NIGHTS[2] / "early").iterdir())
    first.unlink()
    rest[0].write_bytes(rest[1].read_bytes())

    done = backfill(home)
    assert [(night.night, "61 images" in night.reason) for night in done.skipped] == [
        (NIGHTS[0], False),
        (NIGHTS[1], True),
    ]
    assert "expected a folder of images, got nothing there" in done.skipped[0].reason
    assert "10 are gone" in done.skipped[1].reason
    assert "2 skipped" in done.sentence
    (row,) = view(home)
    assert (row["night"], row["left_out"], row["scored"]) == (NEW_NIGHT, 2, 88)
    for night in NIGHTS[:2]:
        assert (
            set(files_of(home, night)) & {f"rescored/2/{name}" for name in ("scores.parquet", "summary.json")} == set()
        )

    # They came back.
    shutil.copytree(images / NIGHTS[1], images / "copy")
    write_night(images / NIGHTS[1], 3000, 60, defects=1)
    done = backfill(home)
    assert [night.night for night in done.skipped] == [NIGHTS[0]]
    assert [row["night"] for row in view(home)] == NIGHTS[1:]


def test_images_of_other_content_are_no_comparison(home: Home) -> None:
    images = sorted((home.path.parent / "images" / NIGHTS[0] / "early").iterdir())
    for image in images[1:]:
        image.write_bytes(images[0].read_bytes())
    done = backfill(home, until=NIGHTS[0])
    assert "59 are gone, or have other content now" in done.skipped[0].reason
    assert view(home) == []
    assert [name for name in files_of(home, NIGHTS[0]) if name.startswith("rescored")] == ["rescored/2/skipped.txt"]


def test_a_version_is_not_compared_with_itself(home: Home) -> None:
    done = backfill(home, version="champion")
    assert [night.reason for night in done.skipped] == ["version 1 decided it itself"] * 3
    assert (done.model, done.nights) == (ModelRef(name="nightglass-panels", version="1"), [])


def test_a_night_that_was_held_before_scoring_has_nothing_to_compare_with(home: Home) -> None:
    home.execute(f"UPDATE night_results SET scored = 0, decision = 'hold' WHERE night = '{NIGHTS[1]}'")
    done = backfill(home)
    assert [night.night for night in done.skipped] == [NIGHTS[1]]
    assert "nothing of it was scored" in done.skipped[0].reason


def test_a_night_that_is_in_work_is_left_alone(home: Home) -> None:
    lanes = lanes_of(home)
    assessment = home.path / "nights/panels" / NIGHTS[1] / "assessment.json"
    assessment.write_text(assessment.read_text().replace('"ignored":0', '"ignored":7'))
    for lane in lanes:
        score_lane(BackfillPlan(**lane))
    done = judge_lanes(lanes)
    assert [night.night for night in done.skipped] == [NIGHTS[1]]
    assert "in work" in done.skipped[0].reason


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"since": "2026-3-2"}, InputError, "first night: expected a date YYYY-MM-DD"),
        ({"until": "../../etc"}, InputError, "last night: expected a date"),
        ({"since": "2026-03-05"}, InputError, "not after the last"),
        ({"since": "2020-01-01", "until": "2020-02-01"}, InputError, "expected a published night from 2020-01-01"),
        ({"version": "9"}, ModelError, "models:/nightglass-panels/9: expected a registered version"),
        ({"version": "1/../2"}, ModelError, "expected models:/NAME"),
        ({"parallel": 17}, InputError, "nights at once: expected 1 to 16, got 17"),
        ({"parallel": 0}, InputError, "nights at once: expected 1 to 16, got 0"),
    ],
)
def test_wrong_questions_get_one_clear_line(home: Home, changes: dict[str, Any], error: type, told: str) -> None:
    with pytest.raises(error, match=told):
        lanes_of(home, **changes)


def test_a_lane_that_was_not_run_is_told(home: Home) -> None:
    with pytest.raises(InputError, match="expected scores of version 2, got none yet"):
        judge_lanes(lanes_of(home))


COMMAND = r"""
import atexit, os, signal, sys
kill_at, seen = int(sys.argv.pop(1)), 0
atexit.register(lambda: print("shards written:", seen, file=sys.stderr))

def audit(name, arguments):
    global seen
    if name == "os.rename" and str(arguments[1]).endswith(".parquet") and "/.shards/" in str(arguments[1]):
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(audit)
from nightglass.cli import main
main()
"""


def run(kill_at: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *map(str, (kill_at, *arguments))]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_a_killed_command_goes_on_where_it_stopped_and_reports(home: Home) -> None:
    asked = ["backfill", "--collection", home.file, "--from", NIGHTS[0], "--to", NIGHTS[-1], "--model", "2"]
    killed = run(2, *asked, "--json")
    assert killed.returncode == -9, killed.stderr

    done = run(0, *asked, "--json")
    assert done.returncode == 0, done.stderr
    assert "shards written: 5" in done.stderr  # of six
    result = json.loads(done.stdout)
    assert (result["scored"], result["changed"], result["skipped"]) == (3, 3, [])
    assert (result["version"], result["collection"], result["since"]) == ("2", "panels", NIGHTS[0])
    assert [night["night"] for night in result["nights"]] == NIGHTS
    assert len(view(home)) == 3

    again = run(0, *asked, "--parallel", 2)
    assert again.returncode == 0, again.stderr
    assert "0 of 3 nights are to be scored" in again.stderr
    assert "shards written: 0" in again.stderr
    assert again.stdout.splitlines()[-1].startswith("panels: version 2 would have decided otherwise on")
    wrong = run(0, *asked, "--parallel", 99)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.splitlines()[0] == "nightglass: nights at once: expected 1 to 16, got 99"
