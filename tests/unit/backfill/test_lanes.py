"""How the nights of a backfill are dealt out to lanes."""

import pytest

from nightglass.backfill.records import BackfillPlan, NightToRescore, SkippedNight
from nightglass.errors import InputError
from nightglass.records import ModelRef


def plan(sizes, scored=()):
    nights = [
        NightToRescore(
            night=f"2026-03-{day:02d}", images_url="x", images=images, result_sha256="r", is_scored=day in scored
        )
        for day, images in enumerate(sizes, start=1)
    ]
    return BackfillPlan(
        collection="cells", collection_file="cells.yaml", since="2026-03-01", until="2026-03-31",
        model=ModelRef(name="m", version="2"), fingerprint="f", nights=nights,
        skipped=[SkippedNight(night="2026-03-30", reason="why")],
    )  # fmt: skip


@pytest.mark.parametrize("parallel", [1, 2, 3, 16])
def test_every_night_is_in_one_lane(parallel):
    whole = plan([100, 7, 50, 50, 3, 90, 1], scored={3})
    lanes = whole.cut(parallel)
    assert len(lanes) == min(parallel, 6)
    assert sorted(night.night for lane in lanes for night in lane.nights) == [night.night for night in whole.nights]
    assert [night for lane in lanes for night in lane.skipped] == whole.skipped
    for lane in lanes:
        assert [night.night for night in lane.nights] == sorted(night.night for night in lane.nights)


def test_large_nights_are_spread():
    lanes = plan([100, 100, 10, 10, 10, 90]).cut(3)
    loads = sorted(sum(night.images for night in lane.nights) for lane in lanes)
    assert loads == [100, 110, 110]


def test_nothing_to_score_is_one_lane():
    (lane,) = plan([5, 5], scored={1, 2}).cut(8)
    assert len(lane.nights) == 2
    (lane,) = plan([]).cut(8)
    assert (lane.nights, len(lane.skipped)) == ([], 1)


@pytest.mark.parametrize("parallel", [0, -1, 17])
def test_too_many_or_too_few_at_once_are_refused(parallel):
    with pytest.raises(InputError, match=f"expected 1 to 16, got {parallel}"):
        plan([1]).cut(parallel)
