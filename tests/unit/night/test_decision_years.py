"""Years of nights with nothing changed, and what must be caught, by the rules at their defaults."""

import pytest
from benchmarks.decisions_world import Change, World
from benchmarks.decisions_years import Job, count_asking, nights_until_caught

from nightglass.collection_limits import DecisionOptions


@pytest.mark.parametrize(("images", "rate", "spread"), [(60, 0.01, 0.0), (60, 0.05, 0.2), (2_000, 0.01, 0.2)])
def test_unchanged_nights_ask_at_most_once_a_year(images, rate, spread):
    world = World(images, rate, reference=500, rate_spread=spread, shift_spread=spread / 2)
    years = count_asking(Job(world, Change(), 4, 365, 1, DecisionOptions()))
    assert years.retrains <= years.years


def test_a_rate_two_and_a_half_times_as_high_is_caught_within_two_nights():
    job = Job(World(2_000, 0.01), Change(20, rate_ratio=2.5), 20, 22, 0, DecisionOptions())
    caught = nights_until_caught(job)
    assert sum(night is not None for night in caught) >= 18


@pytest.mark.parametrize("change", [Change(16, rate_growth=0.03), Change(16, brightness_growth=0.5)])
def test_slow_change_is_caught(change):
    job = Job(World(2_000, 0.01), change, 2, 80, 0, DecisionOptions())
    assert all(night is not None and night > 5 for night in nights_until_caught(job))
