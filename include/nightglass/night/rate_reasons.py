"""Has the anomaly rate doubled? Tonight's counts against the usual ones, with exact one-sided tests."""

import math

from nightglass.collections import DecisionOptions
from nightglass.night.wording import p_text, percent, ratio_of, share_of
from nightglass.records import Baseline, Reason, Verb

#: A lone image is never a doubling, however rare anomalies were before.
_MIN_ANOMALOUS = 2
#: Keeps an exact doubling a doubling in floating point.
_ROUNDING = 1 - 1e-9


def rate_reasons(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> list[Reason]:
    """Judge the anomaly rate against the baseline and against the champion's frozen first nights.

    A significant increase by ``options.ratio`` asks for a new model; a significant one by its square root (half
    the way on a ratio scale) is worth watching. Less is no news: over enough images every two nights differ
    significantly. While the usual rate is being learned, even a doubling is only watched.

    Args:
        scored: Scored images of the night, at least 1.
        anomalous: How many of them are anomalous.
        baseline: What is usual.
        options: Ratio and significance level.
    """
    reasons = [
        _learning_reason(scored, anomalous, baseline, options)
        if baseline.source == "learning"
        else _baseline_reason(scored, anomalous, baseline, options)
    ]
    if baseline.frozen_scored:
        reasons.append(_frozen_reason(scored, anomalous, baseline, options))
    return reasons


def _learning_reason(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> Reason:
    last = options.min_baseline_nights
    learning = f"learning the usual rate: night {min(baseline.nights + 1, last)} of {last}"
    if not baseline.scored:
        return Reason(
            code="anomaly_rate",
            verb=Verb.OK,
            text=f"{percent(anomalous / scored)} of {scored} images are anomalous, {learning}",
            value=anomalous / scored,
        )
    usual = baseline.anomalous / baseline.scored
    p_value = _increase_p_value(anomalous, scored, baseline.anomalous, baseline.scored)
    reason = _compare("anomaly_rate", scored, anomalous, usual, p_value, options)
    if reason.verb is Verb.OK:
        text = f"{percent(anomalous / scored)} of {scored} images are anomalous, {learning}"
        return reason.model_copy(update={"text": text})
    return reason.model_copy(update={"verb": Verb.WATCH, "text": f"{reason.text}, still {learning}"})


def _baseline_reason(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> Reason:
    if baseline.source == "expected":
        usual = baseline.anomaly_rate or 0.0
        p_value = _excess_p_value(anomalous, scored, usual)
    else:
        usual = baseline.anomalous / max(baseline.scored, 1)
        p_value = _increase_p_value(anomalous, scored, baseline.anomalous, baseline.scored)
    return _compare("anomaly_rate", scored, anomalous, usual, p_value, options)


def _frozen_reason(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> Reason:
    usual = baseline.frozen_anomalous / baseline.frozen_scored
    p_value = _increase_p_value(anomalous, scored, baseline.frozen_anomalous, baseline.frozen_scored)
    return _compare("anomaly_rate:frozen", scored, anomalous, usual, p_value, options, of="first nights'")


def _compare(
    code: str,
    scored: int,
    anomalous: int,
    usual: float,
    p_value: float,
    options: DecisionOptions,
    of: str = "usual",
) -> Reason:
    rate = anomalous / scored
    verb = Verb.OK
    if anomalous >= _MIN_ANOMALOUS and p_value < options.alpha:
        if rate >= options.ratio * usual * _ROUNDING:
            verb = Verb.RETRAIN
        elif rate >= math.sqrt(options.ratio) * usual * _ROUNDING:
            verb = Verb.WATCH
    # With nothing usual there is no ratio to tell; the test alone has judged.
    ratio = ratio_of(rate, usual)
    if verb is Verb.OK:
        text = f"{percent(rate)} of {scored} images are anomalous, {of} {percent(usual)}"
    else:
        times = "over the" if ratio is None else f"{ratio:.1f} times the"
        text = f"the anomaly rate is {share_of(anomalous, scored)}, {times} {of} {percent(usual)} ({p_text(p_value)})"
    return Reason(
        code=code,
        verb=verb,
        text=text,
        value=rate,
        baseline=usual,
        ratio=ratio,
        p_value=p_value,
        limit=options.ratio,
    )


def _increase_p_value(anomalous: int, scored: int, usual_anomalous: int, usual_scored: int) -> float:
    """Return the one-sided p-value of Fisher's exact test: so many of all anomalous images fall on tonight.

    Fisher, "The Logic of Inductive Inference", 1935: given both totals, tonight's count is hypergeometric.
    """
    from scipy.stats import hypergeom

    total = scored + usual_scored
    return float(hypergeom.sf(anomalous - 1, total, anomalous + usual_anomalous, scored))


def _excess_p_value(anomalous: int, scored: int, expected_rate: float) -> float:
    """Return the one-sided p-value of the exact binomial test against a rate that is known."""
    from scipy.stats import binom

    return float(binom.sf(anomalous - 1, scored, expected_rate))
