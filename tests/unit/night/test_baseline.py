"""What is usual: pooled counts and median drift of quiet nights, and the frozen first ones."""

import pytest

from nightglass.collection_limits import DecisionOptions
from nightglass.night.baseline import build_baseline
from nightglass.records import NightSummary, Verb


def make_night(day, scored=100, anomalous=4, psi=0.05, separability=0.1):
    return NightSummary(
        collection="line-1",
        night=f"2026-01-{day:02}",
        model_version="3",
        scored=scored,
        anomalous=anomalous,
        quarantined=0,
        anomaly_rate=anomalous / scored if scored else None,
        decision=Verb.OK,
        statistic_psi={} if psi is None else {"brightness": psi},
        separability=separability,
    )


def test_rates_are_pooled_and_drift_is_the_median():
    first = [
        make_night(1, scored=1000, anomalous=10, psi=0.02),
        make_night(2, anomalous=9, psi=0.03),
        make_night(3, psi=0.9),
    ]
    baseline = build_baseline(first[::-1], first, DecisionOptions())
    assert (baseline.source, baseline.nights) == ("nights", 3)
    assert (baseline.scored, baseline.anomalous) == (1200, 23)
    assert baseline.anomaly_rate == pytest.approx(23 / 1200)
    assert baseline.statistic_psi == {"brightness": 0.03}
    assert baseline.separability == 0.1


def test_only_the_newest_nights_move_and_the_first_stay_frozen():
    first = [make_night(day, anomalous=day) for day in range(1, 21)]
    baseline = build_baseline(first[::-1], first, DecisionOptions(baseline_nights=5, min_baseline_nights=2))
    assert (baseline.nights, baseline.anomalous) == (5, 20 + 19 + 18 + 17 + 16)
    assert (baseline.frozen_scored, baseline.frozen_anomalous) == (500, 1 + 2 + 3 + 4 + 5)


def test_the_week_before_tonight_has_no_night_of_the_frozen_ones():
    first = [make_night(day, anomalous=day) for day in range(1, 21)]
    options = DecisionOptions()
    known = build_baseline(first[::-1], first, options)
    assert (known.recent_nights, known.recent_scored) == (6, 600)
    assert known.recent_anomalous == 20 + 19 + 18 + 17 + 16 + 15
    overlapping = build_baseline(first[16:1:-1], first[:17], options)
    assert (overlapping.recent_nights, overlapping.recent_anomalous) == (3, 17 + 16 + 15)
    unfrozen = build_baseline(first[12::-1], first[:13], options)
    assert (unfrozen.recent_nights, unfrozen.frozen_scored) == (0, 0)


def test_the_last_night_says_whether_a_drift_is_new():
    first = [make_night(1, psi=0.3), make_night(2, anomalous=7, psi=0.1)]
    baseline = build_baseline(first[::-1], first, DecisionOptions())
    assert baseline.last_statistic_psi == {"brightness": 0.1}
    assert (baseline.last_scored, baseline.last_anomalous) == (100, 7)


def test_too_few_nights_are_learning_but_keep_their_counts():
    first = [make_night(1), make_night(2)]
    baseline = build_baseline(first[::-1], first, DecisionOptions())
    assert (baseline.source, baseline.nights, baseline.anomaly_rate) == ("learning", 2, None)
    assert (baseline.scored, baseline.anomalous, baseline.frozen_scored) == (200, 8, 0)


def test_an_expected_rate_stands_in_without_counts():
    first = [make_night(1)]
    options = DecisionOptions(expected_anomaly_rate=0.02)
    baseline = build_baseline(first, first, options)
    assert (baseline.source, baseline.anomaly_rate) == ("expected", 0.02)
    assert (baseline.scored, baseline.anomalous) == (0, 0)
    assert baseline.statistic_psi == {"brightness": 0.05}


def test_enough_nights_beat_the_expected_rate():
    first = [make_night(day) for day in (1, 2, 3)]
    baseline = build_baseline(first[::-1], first, DecisionOptions(expected_anomaly_rate=0.5))
    assert (baseline.source, baseline.anomaly_rate) == ("nights", 0.04)


def test_no_nights_at_all():
    baseline = build_baseline([], [], DecisionOptions())
    assert (baseline.source, baseline.nights, baseline.scored) == ("learning", 0, 0)
    assert (baseline.statistic_psi, baseline.separability) == ({}, None)


def test_nights_without_images_or_drift_do_not_break_it():
    first = [make_night(day, scored=0, anomalous=0, psi=None, separability=None) for day in (1, 2, 3)]
    baseline = build_baseline(first[::-1], first, DecisionOptions())
    assert (baseline.source, baseline.anomaly_rate, baseline.separability) == ("learning", None, None)


def test_slow_drift_does_not_raise_its_own_limit():
    first = [make_night(day, psi=0.02 * day, separability=0.02 * day) for day in range(1, 21)]
    baseline = build_baseline(first[::-1], first, DecisionOptions(baseline_nights=5))
    assert baseline.statistic_psi == {"brightness": 0.06}
    assert baseline.separability == 0.06
