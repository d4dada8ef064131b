"""The nights that are scored again, and the steps of a backfill as its DAG takes them."""

import sqlite3
from typing import Any

from nightglass.backfill.lanes import judge_lanes, plan_lanes
from nightglass.backfill.records import BackfillPlan
from nightglass.backfill.scoring import score_lane
from tests.integration.retraining_steps import Home

NIGHTS = ["2026-03-02", "2026-03-03", "2026-03-04"]
#: Its new kind of panels is anomalous for version 1, and good for version 2.
NEW_NIGHT = NIGHTS[2]


def lanes_of(home: Home, since: str = NIGHTS[0], until: str = NIGHTS[-1], **changes: Any) -> list[dict[str, Any]]:
    asked: dict[str, Any] = {"version": "2", "parallel": 1}
    return plan_lanes(home.file, since=since, until=until, **asked | changes)


def backfill(home: Home, **changes: Any) -> Any:
    lanes = lanes_of(home, **changes)
    for lane in lanes:
        score_lane(BackfillPlan(**lane))
    return judge_lanes(lanes)


def view(home: Home) -> list[dict[str, Any]]:
    with sqlite3.connect(home.path / "nightglass.db") as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM rescored_nights ORDER BY night")]
