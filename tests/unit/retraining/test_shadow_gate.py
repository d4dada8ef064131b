"""When a shadow ends, and what its nights say for the challenger."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nightglass.night.shadow_records import SeenNight, Shadow
from nightglass.records import Verb
from nightglass.retraining.gate_text import gate_limit, gate_value
from nightglass.retraining.shadow_gate import ShadowEnd, find_ending, judge_shadow

BEGAN = datetime(2026, 3, 5, 6, tzinfo=UTC)


def shadow(**changes: Any) -> Shadow:
    fields: dict[str, Any] = {
        "collection": "cells",
        "run": "manual__1",
        "model_name": "nightglass-cells",
        "champion_version": "1",
        "challenger_version": "2",
        "challenger_fingerprint": "ab" * 32,
        "nights_wanted": 2,
        "max_days": 30,
        "after_night": "2026-03-05",
        "began_at": "2026-03-05T06:00:00.000000Z",
        "ended_at": None,
        "ending": None,
        "sentence": None,
    }
    return Shadow(**fields | changes)


def night(day: int, decision: str = "ok", *, scored: int = 1000, alone: int = 30) -> SeenNight:
    return SeenNight(
        collection="cells",
        run="manual__1",
        night=f"2026-03-{day:02d}",
        data_version="9f2c",
        scored=scored,
        both_anomalous=20,
        only_champion=alone,
        only_challenger=10,
        agreement=0.96,
        rank_correlation=0.9,
        champion_decision=Verb.RETRAIN,
        decision=Verb(decision),
        sentence=f"{decision.capitalize()}: so.",
        report_url="/nights/report.html",
    )


@pytest.mark.parametrize(
    ("nights", "champion", "days", "ending", "said"),
    [
        ([], "1", 0, None, ""),
        ([night(6)], "1", 29.9, None, ""),
        ([night(6), night(7, "hold")], "1", 5, None, ""),
        ([night(6), night(7, scored=0)], "1", 5, None, ""),
        ([night(6), night(7, "watch")], "1", 5, "seen", "the shadow saw 2 of 2 nights"),
        ([night(6, "retrain")], "1", 1, "seen", "the shadow saw 1 of 2 nights"),
        ([night(6)], "1", 30, "expired", "the shadow saw 1 of 2 nights in 30 days"),
        ([night(6, "hold")], "1", 31, "expired", "the shadow saw 0 of 2 nights in 30 days"),
        ([night(6), night(7)], "1", 31, "seen", "the shadow saw 2 of 2 nights"),
        ([night(6)], "2", 5, "promoted", "somebody promoted it when the shadow had seen 1 of 2 nights"),
        ([night(6), night(7)], "3", 5, "champion_changed",
         "champion 1, which it shadowed, was replaced by 3 when the shadow had seen 2 of 2 nights"),
    ],
)  # fmt: skip
def test_a_shadow_ends_for_one_reason(
    nights: list[SeenNight], champion: str, days: float, ending: str | None, said: str
) -> None:
    found = find_ending(shadow(), nights, champion, BEGAN + timedelta(days=days))
    assert found == (None if ending is None else (ending, said))


def end(*nights: SeenNight) -> ShadowEnd:
    return ShadowEnd(ending="seen", sentence="so", nights_wanted=2, nights=list(nights))


@pytest.mark.parametrize(
    ("nights", "passed", "said"),
    [
        ([night(6), night(7)], True, "2 nights seen, at least 2; with the challenger none would have asked"),
        ([night(6), night(7, "watch"), night(8)], True, "3 nights seen"),
        ([night(6), night(7, "hold")], False, "1 night seen, at least 2 (1 night on hold told nothing)"),
        ([night(6), night(7), night(8, "hold")], True, "2 nights seen, at least 2 (1 night on hold told nothing)"),
        ([night(6), night(7, "retrain")], False, "1 night would have asked for retraining: 2026-03-07: Retrain: so."),
        ([], False, "0 nights seen, at least 2"),
    ],
)
def test_on_no_night_may_the_challenger_ask_for_retraining(nights: list[SeenNight], *, passed: bool, said: str) -> None:
    gate = judge_shadow(end(*nights))
    assert (gate.name, gate.passed) == ("shadow", passed)
    assert said in gate.why


def test_its_figures_are_the_mean_rates_of_the_nights_that_tell_something() -> None:
    gate = judge_shadow(end(night(6), night(7, alone=0), night(8, "hold", alone=900)))
    assert (gate.champion, gate.challenger) == (pytest.approx(0.035), pytest.approx(0.03))
    assert gate_value(gate, gate.challenger) == "3.0 %"
    assert gate_limit(gate) == "\u2013"
    assert judge_shadow(end()).challenger is None
