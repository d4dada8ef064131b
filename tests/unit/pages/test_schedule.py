"""Which nights should be there."""

from datetime import UTC, date, datetime

import pytest

from nightglass.collections import default_collection
from nightglass.pages.schedule import find_missing_nights, last_due_night


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
    assert find_missing_nights(nightly(), set(), now) == []


def test_the_start_date_is_that_of_the_run():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)
    assert last_due_night(nightly(start_date=date(2026, 7, 24)), now) == date(2026, 7, 23)
    started = nightly(start_date=date(2026, 7, 23))
    assert find_missing_nights(started, {"2026-07-01"}, now) == ["2026-07-23", "2026-07-22"]


def test_missing_nights_are_those_between_the_published_ones_and_after():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)
    published = {"2026-07-18", "2026-07-19", "2026-07-21"}
    assert find_missing_nights(nightly(), published, now) == ["2026-07-23", "2026-07-22", "2026-07-20"]


def test_days_that_the_schedule_leaves_out_are_not_missing():
    now = datetime(2026, 7, 24, 12, tzinfo=UTC)  # a Friday
    weekdays = nightly(schedule="0 2 * * 1-5")
    expected = [f"2026-07-{day}" for day in (23, 22, 21, 20, 19)]  # Friday's run scores Thursday, Monday's Sunday
    assert find_missing_nights(weekdays, {"2026-07-16"}, now) == expected
