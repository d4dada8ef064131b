"""Has drift doubled? Each measure against its limits, its significance and the champion's quiet nights."""

from statistics import NormalDist

from nightglass.collection_limits import DecisionOptions, Drift
from nightglass.night.wording import p_text, ratio_of
from nightglass.records import Baseline, DriftReport, EmbeddingDrift, Reason, StatisticDrift, Verb

_NORMAL = NormalDist()
#: A separability of 1 has no finite effect size.
_MAX_SEPARABILITY = 1 - 1e-9


def drift_reasons(drift: DriftReport, baseline: Baseline, options: DecisionOptions, limits: Drift) -> list[Reason]:
    """Judge every drift measure: it must be significant, above a floor that matters, and doubled to retrain.

    A statistic must be over its limit on the quiet night before as well, or be far over it tonight: light moves
    from night to night and back, and a champion that is replaced for it comes back with it. Far is ``ratio`` times
    the shift, which is the square of it in PSI (for normal distributions of equal spread PSI is the shift in
    deviations, squared: Kullback, "Information Theory and Statistics", 1959, chapter 9).

    Args:
        drift: Tonight's measures; the p-values of the statistics are already adjusted.
        baseline: What is usual; a measure that it lacks counts as 0.
        options: Ratio and significance levels.
        limits: The floors for ``watch`` and ``retrain``.
    """
    reasons = [_judge_statistic(statistic, baseline, options, limits) for statistic in drift.statistics]
    if drift.embedding is not None:
        reasons.append(_judge_embedding(drift.embedding, baseline, options, limits))
    return reasons


def _judge_statistic(drift: StatisticDrift, baseline: Baseline, options: DecisionOptions, limits: Drift) -> Reason:
    usual = baseline.statistic_psi.get(drift.name)
    limit = max(limits.retrain_psi, options.ratio * (usual or 0.0))
    is_far = drift.psi >= options.ratio**2 * limit
    return _judge(
        code=f"drift:{drift.name}",
        subject=drift.name.replace("_", " "),
        measure="PSI",
        value=drift.psi,
        usual=usual,
        p_value=drift.adjusted_p_value,
        watch_limit=limits.watch_psi,
        retrain_limit=limit,
        has_lasted=is_far or baseline.last_statistic_psi.get(drift.name, 0.0) >= limit,
        options=options,
    )


def _judge_embedding(drift: EmbeddingDrift, baseline: Baseline, options: DecisionOptions, limits: Drift) -> Reason:
    usual = baseline.separability
    return _judge(
        code="drift:embedding",
        subject="what the images show",
        measure="separability",
        value=drift.separability,
        usual=usual,
        p_value=drift.p_value,
        watch_limit=limits.watch_separability,
        retrain_limit=max(limits.retrain_separability, multiply_separability(usual or 0.0, options.ratio)),
        has_lasted=True,
        options=options,
    )


def multiply_separability(separability: float, ratio: float) -> float:
    """Return the separability (0..1) of an effect ``ratio`` times as large.

    Separability ends at 1, so twice 0.6 could never be reached; the distance between two normal distributions
    that it stands for has no end: ``AUC = Phi(d / sqrt(2))`` (Green & Swets, "Signal Detection Theory and
    Psychophysics", 1966). For small values this is plain multiplication.
    """
    area = (1 + min(separability, _MAX_SEPARABILITY)) / 2
    return 2 * _NORMAL.cdf(ratio * _NORMAL.inv_cdf(area)) - 1


def _judge(
    *,
    code: str,
    subject: str,
    measure: str,
    value: float,
    usual: float | None,
    p_value: float,
    watch_limit: float,
    retrain_limit: float,
    has_lasted: bool,
    options: DecisionOptions,
) -> Reason:
    verb, limit = Verb.OK, watch_limit
    is_over = p_value < options.alpha and value >= retrain_limit
    if is_over:
        verb, limit = Verb.RETRAIN if has_lasted else Verb.WATCH, retrain_limit
    elif p_value < options.watch_alpha and value >= watch_limit:
        verb = Verb.WATCH
    numbers = f"{measure} {value:.2f}, limit {limit:.2f}"
    if usual is not None:
        numbers += f", usual {usual:.2f}"
    return Reason(
        code=code,
        verb=verb,
        text=f"{subject} did not drift ({numbers}, {p_text(p_value)})"
        if verb is Verb.OK
        else f"{subject} drifted ({numbers})" + (", for one night so far" if verb is Verb.WATCH and is_over else ""),
        value=value,
        baseline=usual,
        ratio=ratio_of(value, usual),
        p_value=p_value,
        limit=limit,
    )
