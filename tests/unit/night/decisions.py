"""Nights to decide about, for the tests of the decision."""

from nightglass.collection_limits import DecisionOptions, Drift
from nightglass.night.decision import decide
from nightglass.records import (
    Baseline,
    Decision,
    DriftReport,
    EmbeddingDrift,
    Reason,
    StatisticDrift,
)

USUAL = Baseline(source="nights", nights=14, scored=2800, anomalous=112, anomaly_rate=0.04)
NO_DRIFT = DriftReport(statistics=[], embedding=None)


def make_statistic(name="brightness", psi=0.02, adjusted_p_value=0.5):
    return StatisticDrift(
        name=name,
        psi=psi,
        p_value=adjusted_p_value / 5,
        adjusted_p_value=adjusted_p_value,
        bin_edges=[0.0],
        reference_share=[0.5, 0.5],
        night_share=[0.5, 0.5],
        reference_median=0.0,
        night_median=0.0,
    )


def make_embedding(separability, p_value=1e-9):
    return EmbeddingDrift(separability=separability, p_value=p_value, num_reference=500, num_night=200)


def judge(anomalous=8, scored=200, **changes):
    night = {
        "scored": scored,
        "anomalous": anomalous,
        "quarantined": 0,
        "images": scored + changes.get("quarantined", 0),
        "baseline": USUAL,
        "drift": NO_DRIFT,
        "validation": None,
        "nights_since_promotion": None,
        "options": DecisionOptions(),
        "drift_options": Drift(),
    }
    return decide(**(night | changes))


def find(decision: Decision, code: str) -> Reason:
    return next(reason for reason in decision.reasons if reason.code == code)


def drifted(*statistics, embedding=None):
    return DriftReport(statistics=list(statistics), embedding=embedding)
