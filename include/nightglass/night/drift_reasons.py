"""Has drift doubled? Each measure against its limits, its significance and the champion's quiet nights."""

from statistics import NormalDist

from nightglass.collections import DecisionOptions, Drift
from nightglass.night.wording import p_text, ratio_of
from nightglass.records import Baseline, DriftReport, Reason, Verb

_NORMAL = NormalDist()
#: A separability of 1 has no finite effect size.
_MAX_SEPARABILITY = 1 - 1e-9


def drift_reasons(drift: DriftReport, baseline: Baseline, options: DecisionOptions, limits: Drift) -> list[Reason]:
    """Judge every drift measure: it must be significant, above a floor that matters, and doubled to retrain.

    Args:
        drift: Tonight's measures; the p-values of the statistics are already adjusted.
        baseline: What is usual; a measure that it lacks counts as 0.
        options: Ratio and significance level.
        limits: The floors for ``watch`` and ``retrain``.
    """
    reasons = []
    for statistic in drift.statistics:
        usual = baseline.statistic_psi.get(statistic.name)
        reasons.append(
            _judge(
                code=f"drift:{statistic.name}",
                subject=statistic.name.replace("_", " "),
                measure="PSI",
                value=statistic.psi,
                usual=usual,
                p_value=statistic.adjusted_p_value,
                watch_limit=limits.watch_psi,
                retrain_limit=max(limits.retrain_psi, options.ratio * (usual or 0.0)),
                alpha=options.alpha,
            )
        )
    if drift.embedding is not None:
        usual = baseline.separability
        reasons.append(
            _judge(
                code="drift:embedding",
                subject="what the images show",
                measure="separability",
                value=drift.embedding.separability,
                usual=usual,
                p_value=drift.embedding.p_value,
                watch_limit=limits.watch_separability,
                retrain_limit=max(limits.retrain_separability, multiply_separability(usual or 0.0, options.ratio)),
                alpha=options.alpha,
            )
        )
    return reasons


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
    alpha: float,
) -> Reason:
    verb, limit = Verb.OK, watch_limit
    if p_value < alpha:
        if value >= retrain_limit:
            verb, limit = Verb.RETRAIN, retrain_limit
        elif value >= watch_limit:
            verb = Verb.WATCH
    numbers = f"{measure} {value:.2f}, limit {limit:.2f}"
    if usual is not None:
        numbers += f", usual {usual:.2f}"
    return Reason(
        code=code,
        verb=verb,
        text=f"{subject} did not drift ({numbers}, {p_text(p_value)})"
        if verb is Verb.OK
        else f"{subject} drifted ({numbers})",
        value=value,
        baseline=usual,
        ratio=ratio_of(value, usual),
        p_value=p_value,
        limit=limit,
    )
