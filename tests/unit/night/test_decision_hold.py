"""What holds a night, and how a decision reads."""

import pytest

from nightglass.collection_limits import DecisionOptions
from nightglass.errors import InputError
from nightglass.records import (
    ExpectationResult,
    ValidationReport,
    Verb,
)
from tests.unit.night.decisions import USUAL, drifted, find, judge, make_embedding, make_statistic

# --- hold


FAILED = ValidationReport(
    passed=False,
    expectations=[
        ExpectationResult(
            name="share of unreadable files",
            severity="critical",
            passed=False,
            expected="at most 10.0 %",
            observed="60.0 % (120 of 200)",
        ),
        ExpectationResult(name="image modes", severity="warning", passed=False, expected="", observed="all odd"),
    ],
)


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (
            {"validation": FAILED},
            "validation",
            "Hold: validation failed: share of unreadable files 60.0 % (120 of 200), expected at most 10.0 %.",
        ),
        (
            {"quarantined": 100},
            "quarantined",
            "Hold: 33.3 % (100 of 300) of the images are quarantined, at most 25.0 % may be.",
        ),
        (
            {"scored": 49, "anomalous": 49},
            "min_images",
            "Hold: 49 images were scored, fewer than the 50 that a decision needs.",
        ),
        (
            {"nights_since_promotion": 1, "options": DecisionOptions(cooldown_nights=2)},
            "cooldown",
            "Hold: night 2 of 2 after a promotion.",
        ),
    ],
)
def test_hold_beats_everything(changes, code, sentence):
    alarming = {"anomalous": 150, "drift": drifted(make_statistic(psi=3.0, adjusted_p_value=0.0))}
    decision = judge(**(alarming | changes))
    assert decision.verb is Verb.HOLD
    assert find(decision, code).verb is Verb.HOLD
    assert decision.sentence == sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": FAILED.model_copy(update={"passed": True})},
        {"quarantined": 66, "images": 266},
        {"nights_since_promotion": 2, "options": DecisionOptions(cooldown_nights=2)},
        {"nights_since_promotion": 0},
        {"nights_since_promotion": None, "options": DecisionOptions(cooldown_nights=2)},
        {"scored": 50, "anomalous": 2},
    ],
)
def test_at_the_limit_there_is_no_hold(changes):
    assert judge(**changes).verb is Verb.OK


def test_a_night_without_any_image_holds():
    decision = judge(0, 0)
    assert [reason.code for reason in decision.reasons] == ["min_images"]


@pytest.mark.parametrize(
    "counts", [{"anomalous": 201}, {"anomalous": -1}, {"quarantined": 1, "images": 200}, {"images": 199}]
)
def test_impossible_counts_are_refused(counts):
    with pytest.raises(InputError, match="expected 0 <= anomalous <= scored"):
        judge(**counts)


# --- the sentence


def test_sentence_of_a_retrain():
    drift = drifted(make_statistic(psi=1.42, adjusted_p_value=1e-30), make_statistic("contrast"))
    assert judge(26, drift=drift).sentence == (
        "Retrain: the anomaly rate is 13.0 % (26 of 200), 3.2 times the usual 4.0 % (p = 4e-05), "
        "and brightness drifted (PSI 1.42, limit 0.20)."
    )


def test_sentence_of_an_ok():
    sentence = judge(7, 198, drift=drifted(make_statistic())).sentence
    assert sentence == "OK: 3.5 % of 198 images are anomalous, usual 4.0 %; no statistic drifted."
    assert judge().sentence == "OK: 4.0 % of 200 images are anomalous, usual 4.0 %; drift was not measured."


def test_sentence_counts_what_it_does_not_tell():
    names = ("brightness", "contrast", "sharpness", "colourfulness", "image_score")
    drift = drifted(*(make_statistic(name, 0.9, 0.0) for name in names), embedding=make_embedding(0.7))
    decision = judge(26, drift=drift)
    assert decision.sentence.endswith("contrast drifted (PSI 0.90, limit 0.20), and 4 more.")
    assert len(decision.reasons) == 7
    assert "image score drifted" in find(decision, "drift:image_score").text


def test_sentence_says_the_usual_drift():
    baseline = USUAL.model_copy(update={"statistic_psi": {"brightness": 0.12}})
    drift = drifted(make_statistic(psi=0.16, adjusted_p_value=1e-5))
    assert judge(drift=drift, baseline=baseline).sentence == (
        "Watch: brightness drifted (PSI 0.16, limit 0.10, usual 0.12)."
    )


def test_sentence_where_nothing_was_usual():
    decision = judge(5, baseline=USUAL.model_copy(update={"anomalous": 0}))
    assert find(decision, "anomaly_rate").ratio is None
    assert decision.sentence.startswith("Retrain: the anomaly rate is 2.5 % (5 of 200), over the usual 0.0 % (p = ")
