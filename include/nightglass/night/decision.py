"""What a night asks for: ``ok``, ``watch``, ``retrain`` or ``hold``, as a pure function of stored numbers."""

from collections.abc import Sequence

from nightglass.collection_limits import DecisionOptions, Drift
from nightglass.errors import InputError
from nightglass.night.drift_reasons import drift_reasons
from nightglass.night.rate_reasons import rate_reasons
from nightglass.night.wording import percent, share_of
from nightglass.records import Baseline, Decision, DriftReport, Reason, ValidationReport, Verb

_RANK = {verb: rank for rank, verb in enumerate((Verb.OK, Verb.WATCH, Verb.RETRAIN, Verb.HOLD))}
#: More reasons than this are counted in the sentence, not told.
_TOLD_REASONS = 3


def decide(
    *,
    scored: int,
    anomalous: int,
    quarantined: int,
    images: int,
    baseline: Baseline,
    drift: DriftReport,
    validation: ValidationReport | None,
    nights_since_promotion: int | None,
    options: DecisionOptions,
    drift_options: Drift,
) -> Decision:
    """Decide what the night asks for; the worst reason wins, and a reason to hold beats all.

    Every measure gives a reason, also one that is well, so that the decision can be told from its record
    alone. With fewer than ``options.min_images`` scored images nothing is measured.

    Args:
        scored: Scored images.
        anomalous: How many of them are anomalous.
        quarantined: Images left out.
        images: All images of the manifest.
        baseline: What is usual.
        drift: Tonight's drift, the p-values of its statistics already adjusted.
        validation: What the data looked like; None where it was not validated.
        nights_since_promotion: Nights that the champion judged before tonight since it was promoted, so 0 on its
            first; None when it was never promoted.
        options: When a night asks for a new model.
        drift_options: How much drift matters.

    Raises:
        InputError: The counts cannot be those of one night.
    """
    if not (0 <= anomalous <= scored and quarantined >= 0 and scored + quarantined <= images):
        raise InputError(
            "decision: expected 0 <= anomalous <= scored and scored + quarantined <= images, "
            f"got {anomalous} anomalous, {scored} scored, {quarantined} quarantined, {images} images"
        )
    reasons = _validation_reasons(validation)
    reasons += _count_reasons(scored, quarantined, images, options)
    reasons += _cooldown_reasons(nights_since_promotion, options)
    if scored >= options.min_images:
        reasons += rate_reasons(scored, anomalous, baseline, options)
        reasons += drift_reasons(drift, baseline, options, drift_options)
    verb = max((reason.verb for reason in reasons), key=_RANK.__getitem__)
    return Decision(verb=verb, sentence=_write_sentence(verb, reasons, drift), reasons=reasons)


def _validation_reasons(validation: ValidationReport | None) -> list[Reason]:
    if validation is None or validation.passed:
        return []
    failed = [e for e in validation.expectations if not e.passed and e.severity == "critical"]
    told = ", ".join(f"{e.name} {e.observed}, expected {e.expected}" for e in failed[:_TOLD_REASONS])
    return [Reason(code="validation", verb=Verb.HOLD, text=f"validation failed: {told or 'no detail'}")]


def _count_reasons(scored: int, quarantined: int, images: int, options: DecisionOptions) -> list[Reason]:
    reasons = []
    share = quarantined / images if images else 0.0
    if share > options.max_quarantined_share:
        limit = options.max_quarantined_share
        text = f"{share_of(quarantined, images)} of the images are quarantined, at most {percent(limit)} may be"
        reasons.append(Reason(code="quarantined", verb=Verb.HOLD, text=text, value=share, limit=limit))
    if scored < options.min_images:
        text = f"{scored} images were scored, fewer than the {options.min_images} that a decision needs"
        reasons.append(Reason(code="min_images", verb=Verb.HOLD, text=text, value=scored, limit=options.min_images))
    return reasons


def _cooldown_reasons(nights_since_promotion: int | None, options: DecisionOptions) -> list[Reason]:
    if nights_since_promotion is None or nights_since_promotion >= options.cooldown_nights:
        return []
    return [
        Reason(
            code="cooldown",
            verb=Verb.HOLD,
            text=f"night {nights_since_promotion + 1} of {options.cooldown_nights} after a promotion",
            value=nights_since_promotion,
            limit=options.cooldown_nights,
        )
    ]


def _write_sentence(verb: Verb, reasons: Sequence[Reason], drift: DriftReport) -> str:
    """Say the decision in one sentence: the reasons of its verb, or for ``ok`` the rate and that nothing moved."""
    told = [reason for reason in reasons if reason.verb is verb]
    if verb is Verb.OK:
        rate = next(reason.text for reason in told if reason.code == "anomaly_rate")
        is_measured = drift.statistics or drift.embedding
        return f"OK: {rate}; {'no statistic drifted' if is_measured else 'drift was not measured'}."
    codes = {reason.code for reason in told}
    # The rate of several nights says the same again where tonight's already did.
    texts = [r.text for r in told if not r.code.startswith("anomaly_rate:") or "anomaly_rate" not in codes]
    if len(texts) > _TOLD_REASONS:
        texts = [*texts[:_TOLD_REASONS], f"{len(texts) - _TOLD_REASONS} more"]
    *others, last = texts
    listed = f"{', '.join(others)}, and {last}" if others else last
    return f"{verb.capitalize()}: {listed}."
