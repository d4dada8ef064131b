"""Gates on what a challenger finds, and on how often it alarms for nothing."""

from nightglass.collection_parts import Gates
from nightglass.night.report.figures import count, p_value
from nightglass.night.wording import percent
from nightglass.retraining.records import Detection, Evaluation, FalseAlarms, Gate, Paired
from nightglass.retraining.wording import alarms, change, interval

#: A challenger may find fewer defects at its threshold, by so much: thresholds of two equal fits differ by nearly this.
FOUND_MARGIN = 0.1


def significance(options: Gates) -> float:
    """Return the one-sided level that agrees with an interval of the gates' confidence lying beyond zero."""
    return (1 - options.confidence) / 2


def judge_labels(evaluation: Evaluation, options: Gates) -> Gate:
    """Labelled defects: where there are too few of them, drawn ones stand in."""
    title = "Ranks labelled defects"
    if evaluation.labels is None:
        few = f"fewer than {options.min_defects} labelled defects, or good images, among the frozen ones"
        return unmeasured("labels", title, f"{few}; drawn defects stand in", passed=True)
    return _judge_ranking("labels", title, evaluation.labels, evaluation.confidence, options.auroc_margin)


def judge_drawn(evaluation: Evaluation, options: Gates) -> Gate:
    """Drawn defects: without them labelled ones must show what it finds."""
    title = "Ranks drawn defects"
    if evaluation.drawn is None:
        few = f"fewer than {options.min_defects} good frozen images to draw defects into"
        if evaluation.labels is not None:
            return unmeasured("drawn", title, f"{few}; labelled defects stand in", passed=True)
        return unmeasured("drawn", title, f"{few}, and no labelled ones: nothing shows what it finds", passed=False)
    if evaluation.labels is None:
        return _judge_ranking("drawn", title, evaluation.drawn, evaluation.confidence, options.auroc_margin)
    # Who learns from verdicts ranks what analysts call defects higher and drawn ones a little lower.
    why = f"{_say_auroc(evaluation.drawn, evaluation.confidence)}; may be lower by {options.auroc_margin:g}"
    return _paired_gate("drawn", title, evaluation.drawn.auroc, options.auroc_margin, why)


def _judge_ranking(name: str, title: str, detection: Detection, confidence: float, margin: float) -> Gate:
    """Not lower by more than the margin; by no more than half of it where that is beyond chance.

    Nothing stricter: labelled defects are often those that the champion itself ranked highest, on which any other
    model is a little worse.
    """
    pair = detection.auroc
    is_proven = pair.high < 0 and pair.difference < -margin / 2
    why = f"{_say_auroc(detection, confidence)}; may be lower by {margin:g}, or {margin / 2:g} beyond chance"
    return _paired_gate(name, title, pair, margin, why, passed=not is_proven)


def judge_detection(evaluation: Evaluation) -> Gate:
    """Defects at and above the threshold: a challenger that hardly ever alarms must not pass for a quiet one."""
    title = "Finds defects at its threshold"
    detection = evaluation.labels or evaluation.drawn
    if detection is None:
        return unmeasured("detection", title, "neither labelled nor drawn defects to find", passed=False)
    pair = detection.found
    kind = "labelled" if detection.source == "labels" else "drawn"
    why = (
        f"finds {percent(pair.champion)} → {percent(pair.challenger)} of {count(detection.defects)} {kind} defects "
        f"({interval(pair.low, pair.high, evaluation.confidence)}); may be lower by {FOUND_MARGIN:g} or by chance"
    )
    is_by_chance = pair.high >= 0
    gate = _paired_gate("detection", title, pair, FOUND_MARGIN, why)
    return gate.model_copy(update={"passed": gate.passed or is_by_chance})


def judge_false_alarms(evaluation: Evaluation, options: Gates) -> Gate:
    """Good images: not more alarms than the champion's and, beyond chance, than a multiple of the aimed rate."""
    title = "False alarms on good images"
    counted = evaluation.false_alarms
    if not counted.images:
        return unmeasured("false_alarms", title, "no frozen image is presumed good", passed=False)
    limit = options.max_false_alarm_ratio * evaluation.target_false_alarm_rate
    chance = chance_above(counted.challenger, counted.images, limit)
    is_above = counted.challenger > counted.champion and chance <= significance(options)
    low, high = _rate_interval(counted, evaluation.confidence)
    verdict = f"more than {percent(limit)} beyond chance" if is_above else f"at most {percent(limit)} is allowed"
    if not is_above and counted.challenger / counted.images > limit:
        verdict += ", and so few more may be chance" if counted.challenger > counted.champion else ", or the champion's"
    return Gate(
        name="false_alarms",
        title=title,
        champion=counted.champion / counted.images,
        challenger=counted.challenger / counted.images,
        low=low,
        high=high,
        limit=limit,
        passed=not is_above,
        why=f"{alarms(counted)}, {p_value(chance)} for a rate above the limit; {verdict}",
    )


def chance_above(alarmed: int, images: int, rate: float) -> float:
    """Return the exact one-sided p-value that ``alarmed`` of ``images`` come from a rate of at most ``rate``."""
    from scipy.stats import binomtest

    return float(binomtest(alarmed, images, min(rate, 1.0), alternative="greater").pvalue) if images else 1.0


def unmeasured(name: str, title: str, why: str, *, passed: bool) -> Gate:
    """Return a gate that says what it would need to be measured."""
    return Gate(
        name=name, title=title, champion=None, challenger=None, low=None, high=None, limit=None, passed=passed,
        why=f"not measured: {why}",
    )  # fmt: skip


def _say_auroc(detection: Detection, confidence: float) -> str:
    pair = detection.auroc
    kind = "labelled" if detection.source == "labels" else "drawn"
    return (
        f"AUROC {change(pair)}, {interval(pair.low, pair.high, confidence)}, on {count(detection.defects)} {kind} "
        f"defects and {count(detection.normals)} good images"
    )


def _paired_gate(name: str, title: str, pair: Paired, margin: float, why: str, *, passed: bool = True) -> Gate:
    return Gate(
        name=name,
        title=title,
        champion=pair.champion,
        challenger=pair.challenger,
        low=pair.low,
        high=pair.high,
        limit=max(0.0, pair.champion - margin),
        passed=passed and pair.difference >= -margin,
        why=why,
    )


def _rate_interval(counted: FalseAlarms, confidence: float) -> tuple[float, float]:
    """Return the interval of a difference of paired rates (Agresti & Min, Statistics in Medicine 24, 2005)."""
    from scipy.stats import norm

    images = counted.images + 2
    more, fewer = counted.only_challenger + 0.5, counted.only_champion + 0.5
    middle = (more - fewer) / images
    deviation = float(((more + fewer - (more - fewer) ** 2 / images) ** 0.5) / images)
    reach = float(norm.ppf((1 + confidence) / 2)) * deviation
    return middle - reach, middle + reach
