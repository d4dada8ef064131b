"""Which nights a challenger still shadows, and until when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nightglass.night.plan import NightPlan
from nightglass.night.shadow_choice import why_over, why_skipped
from nightglass.night.shadow_records import SeenNight, Shadow
from nightglass.records import ModelRef, Verb

BEGAN = datetime(2026, 3, 5, 6, tzinfo=UTC)
SHADOW = Shadow(
    collection="cells", run="manual__1", model_name="nightglass-cells", champion_version="1", challenger_version="2",
    challenger_fingerprint="ab" * 32, nights_wanted=2, max_days=30, after_night="2026-03-05",
    began_at="2026-03-05T06:00:00.000000Z", ended_at=None, ending=None, sentence=None,
)  # fmt: skip
ENOUGH = "the shadow has seen enough nights"
OLD = "the shadow looks at nights after 2026-03-05, whose images the challenger cannot know"


def plan(night: str = "2026-03-08", version: str = "1") -> NightPlan:
    return NightPlan(
        collection="cells", collection_file="cells.yaml", night=night, images_url="x", folder_url="x",
        model=ModelRef(name="nightglass-cells", version=version), model_fingerprint="f", score_key="k",
        data_version="d", images=1, ignored=0, shards=1, top_k=1, rescore=False,
    )  # fmt: skip


def seen(day: int, decision: Verb = Verb.OK) -> SeenNight:
    return SeenNight(
        collection="cells", run="manual__1", night=f"2026-03-{day:02d}", data_version="d", scored=100,
        both_anomalous=1, only_champion=1, only_challenger=1, agreement=0.98, rank_correlation=None,
        champion_decision=Verb.RETRAIN, decision=decision, sentence="so", report_url="x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("nights", "night", "days", "why"),
    [
        ([], plan(), 0, None),
        ([seen(6)], plan(), 29.9, None),
        ([seen(6), seen(7, Verb.HOLD)], plan(), 3, None),
        ([seen(6), seen(7)], plan(), 3, ENOUGH),
        # The night itself, once more.
        ([seen(6), seen(8)], plan(), 3, None),
        # One that asks with the challenger as well has decided; nobody need score another.
        ([seen(6, Verb.RETRAIN)], plan(), 1, ENOUGH),
        ([seen(8, Verb.RETRAIN)], plan(), 3, None),
        ([seen(6)], plan(), 30, "the 30 days of the shadow are over"),
        ([], plan(version="3"), 0, "challenger 2 shadows champion 1, the night was scored by 3"),
    ],
)
def test_a_shadow_is_over_for_a_night_whoever_ends_it(
    nights: list[SeenNight], night: NightPlan, days: float, why: str | None
) -> None:
    now = BEGAN + timedelta(days=days)
    assert why_over(SHADOW, nights, night, now) == why
    assert why_skipped(SHADOW, nights, night, now) == why


def test_only_a_night_that_the_challenger_cannot_know_is_scored_twice() -> None:
    assert why_skipped(SHADOW, [], plan("2026-03-05"), BEGAN) == OLD
    # It may ask for nothing all the same: the challenger is the answer.
    assert why_over(SHADOW, [], plan("2026-03-05"), BEGAN) is None
    none: Any = None
    assert why_skipped(none, [], plan(), BEGAN) == "no challenger shadows the champion"
