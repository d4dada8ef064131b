"""When the anomaly rate and the drift ask for a new model."""

import pytest
from scipy.stats import binom, fisher_exact, nbinom

from nightglass.collection_limits import DecisionOptions
from nightglass.night.drift_reasons import multiply_separability
from nightglass.night.rate_reasons import excess_p_value, increase_p_value
from nightglass.records import (
    Baseline,
    Verb,
)
from tests.unit.night.decisions import USUAL, drifted, find, judge, make_embedding, make_statistic

# --- the anomaly rate


@pytest.mark.parametrize(
    ("anomalous", "scored", "baseline", "verb"),
    [
        (8, 200, {}, Verb.OK),  # as usual
        (0, 200, {}, Verb.OK),  # fewer is no harm
        (26, 200, {}, Verb.RETRAIN),  # 3.25 times, p = 6e-7
        (160, 2000, {}, Verb.RETRAIN),  # exactly doubled, p = 0.001
        (159, 2000, {}, Verb.WATCH),  # just not doubled
        (16, 200, {}, Verb.OK),  # exactly doubled, but p = 0.03
        (19, 200, {}, Verb.WATCH),  # 2.4 times, p = 0.005: enough to be watched
        (4, 50, {}, Verb.OK),  # doubled, but four images are noise
        (140, 2000, {}, Verb.WATCH),  # 1.75 times, significant
        (112, 2000, {}, Verb.OK),  # 1.4 times is no news
        (120, 2000, {}, Verb.OK),  # 1.5 times, but nights differ as they are: p = 0.05
        (420_000, 10_000_000, {"scored": 140_000_000, "anomalous": 5_600_000}, Verb.OK),  # 1.05 times: no news
        (800_000, 10_000_000, {"scored": 140_000_000, "anomalous": 5_600_000}, Verb.RETRAIN),
        (200, 200, {}, Verb.RETRAIN),
        (200, 200, {"scored": 2800, "anomalous": 2800}, Verb.OK),
        # A baseline without anomalies.
        (0, 200, {"anomalous": 0}, Verb.OK),
        (1, 200, {"anomalous": 0}, Verb.OK),
        (1, 200, {"anomalous": 0, "scored": 10**9}, Verb.OK),  # p = 2e-7, and still a lone image
        (2, 200, {"anomalous": 0, "scored": 600}, Verb.OK),
        (5, 200, {"anomalous": 0}, Verb.RETRAIN),
        # One image to two.
        (2, 200, {"anomalous": 1, "scored": 200}, Verb.OK),
    ],
)
def test_anomaly_rate_against_quiet_nights(anomalous, scored, baseline, verb):
    assert judge(anomalous, scored, baseline=USUAL.model_copy(update=baseline)).verb is verb


@pytest.mark.parametrize(
    ("anomalous", "scored", "rate", "verb"),
    [
        (8, 200, 0.04, Verb.OK),
        (16, 200, 0.04, Verb.OK),  # exactly doubled, but p = 0.02
        (160, 2000, 0.04, Verb.RETRAIN),
        (140, 2000, 0.04, Verb.WATCH),
        (1, 200, 0.0, Verb.OK),
        (2, 200, 0.0, Verb.RETRAIN),  # people said that there are none
        (200, 200, 1.0, Verb.OK),
    ],
)
def test_anomaly_rate_against_an_expected_rate(anomalous, scored, rate, verb):
    baseline = Baseline(source="expected", nights=0, scored=0, anomalous=0, anomaly_rate=rate)
    assert judge(anomalous, scored, baseline=baseline).verb is verb


@pytest.mark.parametrize(
    ("nights", "usual", "anomalous", "verb", "part"),
    [
        (0, (0, 0), 100, Verb.OK, "learning the usual rate: night 1 of 3"),
        (1, (8, 200), 9, Verb.OK, "learning the usual rate: night 2 of 3"),
        (2, (16, 400), 100, Verb.WATCH, "still learning the usual rate: night 3 of 3"),
    ],
)
def test_learning_never_retrains_from_the_rate(nights, usual, anomalous, verb, part):
    baseline = Baseline(source="learning", nights=nights, anomalous=usual[0], scored=usual[1], anomaly_rate=None)
    decision = judge(anomalous, baseline=baseline)
    assert decision.verb is verb
    assert part in decision.sentence


@pytest.mark.parametrize(
    ("anomalous", "before", "verb"),
    [
        (19, (19, 200), Verb.RETRAIN),
        (19, (12, 200), Verb.WATCH),  # the two have not doubled
        (12, (19, 200), Verb.WATCH),
        (19, (0, 0), Verb.WATCH),  # nothing was scored on the night before
    ],
)
def test_two_nights_together_show_what_one_does_not(anomalous, before, verb):
    last = {"last_anomalous": before[0], "last_scored": before[1]}
    decision = judge(anomalous, baseline=USUAL.model_copy(update=last))
    assert decision.verb is verb
    if verb is Verb.RETRAIN:
        # The night before is no longer among the usual ones: 93 of 2600.
        assert find(decision, "anomaly_rate:two_nights").baseline == pytest.approx(93 / 2600)
        assert "the anomaly rate over 2 nights is 9.5 % (38 of 400), 2.7 times the usual 3.6 %" in decision.sentence


def test_two_nights_need_as_many_usual_nights_beside_them_as_one():
    # A night that asks stays out of the baseline: with two low nights in it, every night after would ask as well.
    few = {"nights": 3, "scored": 600, "anomalous": 14, "last_scored": 200, "last_anomalous": 8}
    codes = [reason.code for reason in judge(19, baseline=USUAL.model_copy(update=few)).reasons]
    assert codes == ["anomaly_rate"]


def test_two_nights_against_an_expected_rate():
    last = {"last_anomalous": 20, "last_scored": 200}
    baseline = Baseline(source="expected", nights=1, scored=0, anomalous=0, anomaly_rate=0.04, **last)
    decision = judge(20, baseline=baseline)
    assert (find(decision, "anomaly_rate").verb, decision.verb) == (Verb.WATCH, Verb.RETRAIN)


def test_slow_change_is_caught_by_the_frozen_counts():
    # Tonight is 1.3 times the moving baseline, which has itself crept up to twice the first nights.
    crept = USUAL.model_copy(update={"anomalous": 224, "frozen_scored": 600, "frozen_anomalous": 24})
    crept = crept.model_copy(update={"recent_nights": 6, "recent_scored": 1200, "recent_anomalous": 100})
    decision = judge(14, baseline=crept)
    assert decision.verb is Verb.RETRAIN
    assert find(decision, "anomaly_rate").verb is Verb.OK
    reason = find(decision, "anomaly_rate:frozen")
    assert (reason.verb, reason.baseline) == (Verb.RETRAIN, 0.04)
    assert decision.sentence == (
        "Retrain: the anomaly rate over 7 nights is 8.1 % (114 of 1400), "
        "2.0 times the first nights' 4.0 % (p = 0.0008)."
    )


def test_a_night_of_few_images_is_pooled_with_those_before():
    few = USUAL.model_copy(update={"frozen_scored": 840, "frozen_anomalous": 9})
    assert find(judge(4, 60, baseline=few), "anomaly_rate:frozen").verb is Verb.OK
    week = few.model_copy(update={"recent_nights": 6, "recent_scored": 360, "recent_anomalous": 20})
    assert find(judge(4, 60, baseline=week), "anomaly_rate:frozen").verb is Verb.RETRAIN


@pytest.mark.parametrize(("a", "n", "b", "m"), [(26, 200, 20, 500), (3, 50, 0, 300), (50, 50, 1, 9), (0, 60, 4, 60)])
def test_p_values_are_those_of_fishers_exact_test(a, n, b, m):
    baseline = USUAL.model_copy(update={"scored": m, "anomalous": b})
    expected = fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue
    found = find(judge(a, n, baseline=baseline, options=DecisionOptions(rate_spread=0)), "anomaly_rate")
    assert found.p_value == pytest.approx(expected)


def test_nights_that_differ_by_themselves_make_a_rise_less_significant():
    # Greenwood & Yule: a gamma rate of shape 44 makes the count negative binomial. Fisher's test predicts with a shape
    # of one more, which makes it a little more careful.
    found = increase_p_value(40, 2000, 10**6, 10**8, 0.15**2)
    assert found == pytest.approx(nbinom.sf(39, 1 / 0.15**2, 1 / (1 + 20 * 0.15**2)), rel=0.3)
    assert found > 10 * increase_p_value(40, 2000, 10**6, 10**8)
    assert excess_p_value(40, 2000, 0.01, 0.15**2) == pytest.approx(found, rel=0.3)


def test_p_values_against_an_expected_rate_are_binomial():
    baseline = Baseline(source="expected", nights=0, scored=0, anomalous=0, anomaly_rate=0.04)
    expected = sum(binom.pmf(i, 200, 0.04) for i in range(20, 201))
    found = find(judge(20, baseline=baseline, options=DecisionOptions(rate_spread=0)), "anomaly_rate")
    assert found.p_value == pytest.approx(expected)


# --- drift


@pytest.mark.parametrize(
    ("psi", "p_value", "usual", "verb"),
    [
        (0.09, 1e-9, None, Verb.OK),  # significant, but too small to matter
        (0.10, 1e-9, None, Verb.WATCH),
        (0.20, 1e-9, None, Verb.RETRAIN),
        (9.00, 0.01, None, Verb.OK),  # large, but not significant: a small night
        (0.30, 1e-9, 0.16, Verb.WATCH),  # not doubled
        (0.32, 1e-9, 0.16, Verb.RETRAIN),
        (0.15, 1e-9, 0.01, Verb.WATCH),  # far more than doubled, but below the floor
    ],
)
def test_drift_of_a_statistic(psi, p_value, usual, verb):
    drifted_before = {"last_statistic_psi": {"brightness": 9.0}}
    usual_psi = {} if usual is None else {"statistic_psi": {"brightness": usual}}
    baseline = USUAL.model_copy(update=drifted_before | usual_psi)
    decision = judge(drift=drifted(make_statistic(psi=psi, adjusted_p_value=p_value)), baseline=baseline)
    assert decision.verb is verb
    assert find(decision, "drift:brightness").baseline == usual


@pytest.mark.parametrize(
    ("psi", "before", "usual", "verb"),
    [
        (0.25, None, None, Verb.WATCH),  # nothing is known of the night before
        (0.25, 0.19, None, Verb.WATCH),
        (0.25, 0.20, None, Verb.RETRAIN),
        (0.79, 0.02, None, Verb.WATCH),
        (0.80, 0.02, None, Verb.RETRAIN),  # twice the shift: four times the PSI
        (0.80, 0.02, 0.16, Verb.WATCH),  # the limit is 0.32
    ],
)
def test_a_statistic_must_drift_for_two_nights_or_far(psi, before, usual, verb):
    known = {"statistic_psi": {"brightness": usual}} if usual else {}
    known |= {"last_statistic_psi": {"brightness": before}} if before else {}
    drift = drifted(make_statistic(psi=psi, adjusted_p_value=1e-9))
    decision = judge(drift=drift, baseline=USUAL.model_copy(update=known))
    assert decision.verb is verb
    assert ("for one night so far" in decision.sentence) is (verb is Verb.WATCH)


@pytest.mark.parametrize(
    ("separability", "p_value", "usual", "verb"),
    [
        (0.29, 1e-9, None, Verb.OK),
        (0.30, 1e-9, None, Verb.WATCH),
        (0.50, 1e-9, None, Verb.RETRAIN),
        (0.90, 0.02, None, Verb.OK),
        (0.60, 1e-9, 0.4, Verb.WATCH),
        (0.95, 1e-9, 0.6, Verb.RETRAIN),  # 2 x 0.6 does not exist; twice the effect is 0.91
    ],
)
def test_drift_of_the_embeddings(separability, p_value, usual, verb):
    baseline = USUAL.model_copy(update={"separability": usual})
    decision = judge(drift=drifted(embedding=make_embedding(separability, p_value)), baseline=baseline)
    assert decision.verb is verb
    assert find(decision, "drift:embedding").value == separability


def test_twice_an_effect_can_always_be_reached():
    assert multiply_separability(0.0, 2) == pytest.approx(0)
    assert multiply_separability(0.02, 2) == pytest.approx(0.04, rel=1e-2)
    assert multiply_separability(0.6, 2) == pytest.approx(0.9077, abs=1e-3)
    assert multiply_separability(1.0, 2) <= 1
