"""What holds for every night."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nightglass.collection_limits import DecisionOptions
from nightglass.records import (
    Baseline,
    Decision,
    Verb,
)
from tests.unit.night.decisions import drifted, judge, make_embedding, make_statistic

# --- what holds for every night


RANK = [Verb.OK, Verb.WATCH, Verb.RETRAIN, Verb.HOLD]


@st.composite
def nights(draw):
    scored = draw(st.integers(0, 100_000))
    usual_scored = draw(st.integers(1, 10**8))
    frozen_scored = draw(st.integers(0, 10**6))
    source = draw(st.sampled_from(["nights", "expected", "learning"]))
    rate = draw(st.floats(0, 1)) if source == "expected" else None
    share = st.floats(0, 1)
    quarantined = draw(st.integers(0, 1000))
    statistic = make_statistic(psi=draw(st.floats(0, 20)), adjusted_p_value=draw(share))
    return {
        "scored": scored,
        "anomalous": draw(st.integers(0, scored)),
        "quarantined": quarantined,
        "images": scored + quarantined,
        "baseline": Baseline(
            source=source,
            nights=draw(st.integers(0, 14)),
            scored=usual_scored,
            anomalous=draw(st.integers(0, usual_scored)),
            anomaly_rate=rate,
            statistic_psi={"brightness": draw(st.floats(0, 20))},
            separability=draw(share),
            frozen_scored=frozen_scored,
            frozen_anomalous=draw(st.integers(0, frozen_scored)),
            recent_nights=draw(st.integers(0, 6)),
            recent_scored=(recent_scored := draw(st.integers(0, 10**6))),
            recent_anomalous=draw(st.integers(0, recent_scored)),
            last_scored=(last_scored := draw(st.integers(0, 10**5))),
            last_anomalous=draw(st.integers(0, last_scored)),
            last_statistic_psi={"brightness": draw(st.floats(0, 20))},
        ),
        "drift": drifted(statistic, embedding=make_embedding(draw(share), draw(share))),
        "nights_since_promotion": draw(st.none() | st.integers(0, 5)),
        "options": DecisionOptions(min_images=draw(st.integers(1, 500)), cooldown_nights=draw(st.integers(0, 3))),
    }


@given(nights())
@settings(deadline=None)
def test_every_night_is_decided_by_its_worst_reason_and_tells_it(night):
    decision = judge(**night)
    assert decision.verb is max((reason.verb for reason in decision.reasons), key=RANK.index)
    assert decision.sentence.lower().startswith(f"{decision.verb}: ")
    assert decision.sentence.endswith(".")
    assert all(reason.p_value is None or 0 <= reason.p_value <= 1 for reason in decision.reasons)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert judge(**night) == decision


@given(nights())
@settings(deadline=None)
def test_too_few_images_never_retrain(night):
    if night["scored"] < night["options"].min_images:
        assert judge(**night).verb is Verb.HOLD


@given(nights(), st.data())
@settings(deadline=None)
def test_more_anomalies_never_lower_the_verb(night, data):
    more = data.draw(st.integers(night["anomalous"], night["scored"]))
    before, after = judge(**night), judge(**night | {"anomalous": more})
    assert RANK.index(after.verb) >= RANK.index(before.verb)


@given(nights())
@settings(deadline=None)
def test_a_retrain_is_always_significant(night):
    decision = judge(**night)
    for reason in decision.reasons:
        if reason.verb is Verb.RETRAIN:
            assert reason.p_value < night["options"].alpha
            assert reason.ratio is None or reason.ratio >= 1
