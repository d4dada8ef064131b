"""What is usual for a challenger that shadows the champion, and what that makes of its nights."""

import pytest

from nightglass.collection_limits import DecisionOptions, Drift
from nightglass.night.decision import decide
from nightglass.night.shadow_assessment import borrow_baseline
from nightglass.records import Baseline, DriftReport, Verb

PSI = {"brightness": 0.05}


def champion(source: str, **changes: object) -> Baseline:
    fields = {"source": source, "nights": 2, "scored": 2000, "anomalous": 60, "anomaly_rate": None}
    return Baseline.model_validate(fields | changes)


def decision_on(baseline: Baseline, anomalous: int) -> Verb:
    return decide(
        scored=1000, anomalous=anomalous, quarantined=0, images=1000, baseline=baseline,
        drift=DriftReport(statistics=[], embedding=None), validation=None, nights_since_promotion=None,
        options=DecisionOptions(), drift_options=Drift(),
    ).verb  # fmt: skip


@pytest.mark.parametrize(("expected", "usual"), [(None, 0.01), (0.03, 0.03)])
def test_a_challenger_is_judged_while_its_champion_is_learning(expected: float | None, usual: float) -> None:
    learning = champion("learning")
    borrowed = borrow_baseline(learning, PSI, expected=expected, false_alarm_rate=0.01)

    assert (borrowed.source, borrowed.anomaly_rate, borrowed.last_statistic_psi) == ("expected", usual, PSI)
    assert decision_on(borrowed, int(1000 * usual)) is Verb.OK
    assert decision_on(borrowed, 500) is Verb.RETRAIN
    # What the champion itself is let do.
    assert decision_on(learning, 500) is Verb.WATCH


def test_a_rate_that_is_known_is_the_champions() -> None:
    known = champion("nights", nights=14, anomaly_rate=0.03, statistic_psi={"brightness": 1}, separability=0.4,
                     frozen_scored=10, recent_scored=5, last_scored=100, last_anomalous=3)  # fmt: skip
    borrowed = borrow_baseline(known, PSI, expected=None, false_alarm_rate=0.01)

    assert (borrowed.source, borrowed.nights, borrowed.scored, borrowed.anomalous) == ("nights", 14, 2000, 60)
    # Nothing that would mix both models.
    assert borrowed == champion("nights", nights=14, anomaly_rate=0.03, last_statistic_psi=PSI)
    assert decision_on(borrowed, 30) is Verb.OK
    assert decision_on(borrowed, 500) is Verb.RETRAIN


def test_an_expected_rate_of_the_champion_stays() -> None:
    stated = champion("expected", nights=0, scored=0, anomalous=0, anomaly_rate=0.02)
    assert borrow_baseline(stated, {}, expected=0.02, false_alarm_rate=0.01) == stated
