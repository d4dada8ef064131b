"""Has the anomaly rate doubled? Tonight's counts against the usual ones, with exact one-sided tests."""

import math

from nightglass.collection_limits import DecisionOptions
from nightglass.night.wording import p_text, percent, ratio_of, share_of
from nightglass.records import Baseline, Reason, Verb

#: A lone image is never a doubling, however rare anomalies were before.
_MIN_ANOMALOUS = 2
#: Keeps an exact doubling a doubling in floating point.
_ROUNDING = 1 - 1e-9


def rate_reasons(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> list[Reason]:
    """Judge the rate of tonight and of two nights against the usual one, and the week's against the first nights'.

    An increase by ``options.ratio`` that is significant at ``alpha`` asks for a new model; one by its square root
    (half the way on a ratio scale) that is significant at ``watch_alpha`` is worth watching. Less is no news: over
    enough images every two nights differ significantly. While the usual rate is being learned, even a doubling is
    only watched. Nights together show what none does alone: a rise in nights of few images, and slow change.

    Args:
        scored: Scored images of the night, at least 1.
        anomalous: How many of them are anomalous.
        baseline: What is usual.
        options: Ratio and significance levels.
    """
    if baseline.source == "learning":
        reasons = [_learning_reason(scored, anomalous, baseline, options)]
    else:
        reasons = [_baseline_reason(scored, anomalous, baseline, options)]
        if baseline.last_scored:
            reasons += _two_nights_reasons(scored, anomalous, baseline, options)
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
    variance = _variance(options, 1, baseline.nights)
    p_value = increase_p_value(anomalous, scored, baseline.anomalous, baseline.scored, variance)
    reason = _compare("anomaly_rate", scored, anomalous, usual, p_value, options)
    if reason.verb is Verb.OK:
        text = f"{percent(anomalous / scored)} of {scored} images are anomalous, {learning}"
        return reason.model_copy(update={"text": text})
    return reason.model_copy(update={"verb": Verb.WATCH, "text": f"{reason.text}, still {learning}"})


def _baseline_reason(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> Reason:
    if baseline.source == "expected":
        return _expected_reason("anomaly_rate", scored, anomalous, baseline, options, 1)
    usual = baseline.anomalous / max(baseline.scored, 1)
    variance = _variance(options, 1, baseline.nights)
    p_value = increase_p_value(anomalous, scored, baseline.anomalous, baseline.scored, variance)
    return _compare("anomaly_rate", scored, anomalous, usual, p_value, options)


def _two_nights_reasons(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> list[Reason]:
    code = "anomaly_rate:two_nights"
    scored, anomalous = scored + baseline.last_scored, anomalous + baseline.last_anomalous
    if baseline.source == "expected":
        return [_expected_reason(code, scored, anomalous, baseline, options, 2)]
    # A night cannot count on both sides of a test.
    usual_scored = baseline.scored - baseline.last_scored
    usual_anomalous = min(max(baseline.anomalous - baseline.last_anomalous, 0), usual_scored)
    if usual_scored <= 0 or baseline.nights - 1 < options.min_baseline_nights:
        return []
    variance = _variance(options, 2, baseline.nights - 1)
    p_value = increase_p_value(anomalous, scored, usual_anomalous, usual_scored, variance)
    return [_compare(code, scored, anomalous, usual_anomalous / usual_scored, p_value, options, nights=2)]


def _expected_reason(
    code: str, scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions, nights: int
) -> Reason:
    usual = baseline.anomaly_rate or 0.0
    p_value = excess_p_value(anomalous, scored, usual, options.rate_spread**2 / nights)
    return _compare(code, scored, anomalous, usual, p_value, options, nights=nights)


def _frozen_reason(scored: int, anomalous: int, baseline: Baseline, options: DecisionOptions) -> Reason:
    usual = baseline.frozen_anomalous / baseline.frozen_scored
    anomalous, scored = anomalous + baseline.recent_anomalous, scored + baseline.recent_scored
    nights = baseline.recent_nights + 1
    variance = _variance(options, nights, options.baseline_nights)
    p_value = increase_p_value(anomalous, scored, baseline.frozen_anomalous, baseline.frozen_scored, variance)
    return _compare("anomaly_rate:frozen", scored, anomalous, usual, p_value, options, "first nights'", nights)


def _compare(
    code: str,
    scored: int,
    anomalous: int,
    usual: float,
    p_value: float,
    options: DecisionOptions,
    of: str = "usual",
    nights: int = 1,
) -> Reason:
    rate = anomalous / scored
    verb = Verb.OK
    if anomalous >= _MIN_ANOMALOUS:
        if p_value < options.alpha and rate >= options.ratio * usual * _ROUNDING:
            verb = Verb.RETRAIN
        elif p_value < options.watch_alpha and rate >= math.sqrt(options.ratio) * usual * _ROUNDING:
            verb = Verb.WATCH
    # With nothing usual there is no ratio to tell; the test alone has judged.
    ratio = ratio_of(rate, usual)
    over = f" over {nights} nights" if nights > 1 else ""
    if verb is Verb.OK:
        text = f"{percent(rate)} of {scored} images{over} are anomalous, {of} {percent(usual)}"
    else:
        found = f"the anomaly rate{over} is {share_of(anomalous, scored)}"
        times = "over the" if ratio is None else f"{ratio:.1f} times the"
        text = f"{found}, {times} {of} {percent(usual)} ({p_text(p_value)})"
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


def _variance(options: DecisionOptions, nights: int, usual_nights: int) -> float:
    """Return the variance of the ratio of two mean rates that nights differ by as it is."""
    return options.rate_spread**2 * (1 / nights + 1 / max(usual_nights, 1))


def increase_p_value(
    anomalous: int, scored: int, usual_anomalous: int, usual_scored: int, variance: float = 0.0
) -> float:
    """Return the one-sided p-value of Fisher's exact test: so many of all anomalous images fall on tonight.

    Fisher, "The Logic of Inductive Inference", 1935: given both totals, tonight's count is hypergeometric. It knows
    nothing of nights that differ as they are. But for the finite totals it predicts a count whose rate is gamma
    distributed with the shape ``usual_anomalous``, thus with the relative variance ``1 / usual_anomalous``
    (Greenwood & Yule, "An Inquiry into the Nature of Frequency Distributions", 1920). ``variance`` is added there:
    the usual counts weigh as ``1 / (1 / usual_anomalous + variance)`` anomalous images, at the same rate.

    Args:
        anomalous: Anomalous images.
        scored: Of so many.
        usual_anomalous: As usual.
        usual_scored: As usual.
        variance: Of the ratio of the two rates when nothing changes, beyond chance.
    """
    from scipy.stats import hypergeom

    if usual_anomalous and variance:
        weight = max(1, round(1 / (1 / usual_anomalous + variance)))
        usual_anomalous, usual_scored = weight, round(usual_scored * weight / usual_anomalous)
    total = scored + usual_scored
    return float(hypergeom.sf(anomalous - 1, total, anomalous + usual_anomalous, scored))


def excess_p_value(anomalous: int, scored: int, expected_rate: float, variance: float = 0.0) -> float:
    """Return the one-sided p-value of the exact binomial test against a rate that is known.

    Args:
        anomalous: Anomalous images.
        scored: Of so many.
        expected_rate: The rate that people stand for.
        variance: Of a night's rate relative to that one, beyond chance: the count is then negative binomial
            (Greenwood & Yule, see `increase_p_value`).
    """
    from scipy.stats import binom, nbinom

    if not variance:
        return float(binom.sf(anomalous - 1, scored, expected_rate))
    return float(nbinom.sf(anomalous - 1, 1 / variance, 1 / (1 + variance * scored * expected_rate)))
