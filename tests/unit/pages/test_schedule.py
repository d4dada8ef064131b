"""Which nights should be there."""

from datetime import UTC, date, datetime, timedelta

import pytest

from nightglass.collections import default_collection
from nightglass.pages.schedule import find_missing_nights, last_due_night


def on_schedule(*nights):
    """Each published at 03:00, an hour after its run began."""
    return {night: f"{date.fromisoformat(night) + timedelta(days=1)}T03:00:00.000000Z" for night in nights}


def nightly(**changes):
    return default_collection().model_copy(update={"images": "/x/{night}", "schedule": "0 2 * * *", **changes})


@pytest.mark.parametrize(
    ("now", "due"),
    [
        # The run at 02:00 scores the day before and has until 08:00.
        (datetime(2026, 7, 24, 7, 59, tzinfo=UTC), date(2026, 7, 22)),
        (datetime(2026, 7, 24, 8, 1, tzinfo=UTC), date(2026, 7, 23)),
    ],
)
def test_a_night_is_due_when_its_deadline_has_passed(now, due):
    assert last_due_night(nightly(), now) == due


def test_a_collection_by_hand_or_from_the_future_has_none_due():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)
    assert last_due_night(nightly(schedule=None), now) is None
    assert last_due_night(nightly(start_date=date(2026, 8, 1)), now) is None
    assert find_missing_nights(nightly(), {}, now) == []


def test_the_start_date_is_that_of_the_run():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)
    assert last_due_night(nightly(start_date=date(2026, 7, 24)), now) == date(2026, 7, 23)
    started = nightly(start_date=date(2026, 7, 23))
    assert find_missing_nights(started, on_schedule("2026-07-01"), now) == ["2026-07-23", "2026-07-22"]


def test_missing_nights_are_those_between_the_published_ones_and_after():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)
    published = on_schedule("2026-07-18", "2026-07-19", "2026-07-21")
    assert find_missing_nights(nightly(), published, now) == ["2026-07-23", "2026-07-22", "2026-07-20"]


def test_days_that_the_schedule_leaves_out_are_not_missing():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)  # a Friday
    weekdays = nightly(schedule="0 2 * * 1-5")
    expected = [f"2026-07-{day}" for day in (23, 22, 21, 20, 19)]  # Friday's run scores Thursday, Monday's Sunday
    assert find_missing_nights(weekdays, on_schedule("2026-07-16"), now) == expected


def test_a_night_that_was_run_by_hand_long_after_does_not_make_others_missing():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)
    by_hand = {"2026-07-10": "2026-07-22T15:00:00.000000Z"}
    assert find_missing_nights(nightly(), by_hand, now) == []
    assert find_missing_nights(nightly(), by_hand | on_schedule("2026-07-21"), now) == ["2026-07-23", "2026-07-22"]
    assert find_missing_nights(nightly(), {"2026-07-22": "2026-07-22T15:00:00.000000Z"}, now) == []  # before its run
    caught_up = find_missing_nights(nightly(catchup=True), by_hand, now)
    assert (caught_up[0], caught_up[-1], len(caught_up)) == ("2026-07-23", "2026-07-11", 13)
