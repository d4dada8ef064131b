"""What a challenger must meet to become the champion: a pure function of what was measured."""

from dataclasses import dataclass

from nightglass.collection_parts import Gates
from nightglass.night.report.figures import count, p_value
from nightglass.retraining.cost_gates import judge_costs
from nightglass.retraining.quality_gates import (
    chance_above,
    judge_detection,
    judge_drawn,
    judge_false_alarms,
    judge_labels,
    significance,
)
from nightglass.retraining.records import Evaluation, Gate, GateReport, Paired, TrainingFacts
from nightglass.retraining.slice_gate import judge_slices
from nightglass.retraining.wording import alarms, change, interval


def judge(evaluation: Evaluation, training: TrainingFacts, options: Gates) -> GateReport:
    """Judge a challenger by every gate; all must pass.

    Args:
        evaluation: Both models on the frozen images.
        training: What the challenger was fitted on.
        options: The limits.
    """
    gates = [
        _judge_training(training, options),
        judge_labels(evaluation, options),
        judge_drawn(evaluation, options),
        judge_detection(evaluation),
        judge_false_alarms(evaluation, options),
        judge_slices(evaluation, options),
        *judge_costs(evaluation.champion_cost, evaluation.challenger_cost, options),
        _judge_improvement(evaluation, options),
    ]
    return report_gates(evaluation, gates)


def report_gates(evaluation: Evaluation, gates: list[Gate]) -> GateReport:
    """Say what came of gates that are judged already."""
    failed = [gate for gate in gates if not gate.passed]
    return GateReport(passed=not failed, sentence=_tell(evaluation, gates, failed), gates=gates)


def _judge_training(training: TrainingFacts, options: Gates) -> Gate:
    limit = options.min_training_ratio * training.champion_images
    return Gate(
        name="training",
        title="Enough training images",
        champion=training.champion_images,
        challenger=training.images,
        low=None,
        high=None,
        limit=limit,
        passed=training.images >= limit,
        why=f"fitted on {count(training.images)} images, the champion on {count(training.champion_images)}; "
        f"at least {options.min_training_ratio:g}\u00d7 as many",
    )


@dataclass(frozen=True)
class _Look:
    """One way in which a challenger may be better; ``text`` says by how much, the p-value is one-sided."""

    name: str
    text: str
    p_value: float
    champion: float
    challenger: float
    pair: Paired | None = None


def _judge_improvement(evaluation: Evaluation, options: Gates) -> Gate:
    """At least one figure better beyond chance.

    The main one has the level at which its interval lies beyond zero; the others share as much again by Holm's
    correction (Holm, 1979). So at most ``1 - confidence`` of equal challengers pass by chance.
    """
    looks = _looks(evaluation)
    level = significance(options)
    better = _find_better(looks, level)
    best = min(better or looks, key=lambda look: look.p_value, default=None)
    if better:
        why = "better: " + "; ".join(f"{look.name} {look.text}, {p_value(look.p_value)}" for look in better)
    elif best:
        near = f"{best.name} {best.text}, {p_value(best.p_value)}"
        why = f"nothing is better beyond chance, and a tie is not a win; nearest: {near}"
    else:
        why = "not measured: neither defects nor good images among the frozen ones"
    if looks:
        why += f"; {looks[0].name} needs p \u2264 {level:.2g}"
    if looks[1:]:
        others = len(looks) - 1
        which = "the other figure" if others == 1 else f"the best of the {others} other figures"
        why += f", {which} p \u2264 {level / others:.2g}"
    return Gate(
        name="improvement",
        title="Better than the champion",
        champion=best.champion if best else None,
        challenger=best.challenger if best else None,
        low=best.pair.low if best and best.pair else None,
        high=best.pair.high if best and best.pair else None,
        limit=None,
        passed=bool(better),
        why=why,
    )


def _find_better(looks: list[_Look], level: float) -> list[_Look]:
    better = [look for look in looks[:1] if look.p_value <= level]
    others = sorted(looks[1:], key=lambda look: look.p_value)
    for place, look in enumerate(others):
        if look.p_value > level / (len(others) - place):
            break
        better.append(look)
    return better


def _looks(evaluation: Evaluation) -> list[_Look]:
    """Return what was measured, the main figure first."""
    looks: list[_Look] = []
    if evaluation.labels:
        looks.append(_look("AUROC on labelled defects", evaluation.labels.auroc))
    if evaluation.drawn:
        looks.append(_look("AUROC on drawn defects", evaluation.drawn.auroc))
    if evaluation.labels:
        looks.append(_look("average precision on labelled defects", evaluation.labels.average_precision))
    counted = evaluation.false_alarms
    if counted.images:
        # Fewer than were aimed for is a higher threshold, not a better model: the champion's must be too many, and the
        # challenger's fewer. Both must hold, so the larger p-value is that of the pair (Berger 1982).
        too_many = chance_above(counted.champion, counted.images, evaluation.target_false_alarm_rate)
        rates = counted.champion / counted.images, counted.challenger / counted.images
        looks.append(_Look("false alarms", alarms(counted), max(too_many, counted.p_value), *rates))
    return looks


def _look(name: str, pair: Paired) -> _Look:
    return _Look(name, change(pair), pair.p_value, pair.champion, pair.challenger, pair)


def _tell(evaluation: Evaluation, gates: list[Gate], failed: list[Gate]) -> str:
    main = _main_figure(evaluation)
    if not failed:
        return f"All {len(gates)} gates passed: {main}"
    names = [gate.title[:1].lower() + gate.title[1:] for gate in failed]
    return f"Refused by {len(failed)} of {len(gates)} gates ({'; '.join(names)}): {main}"


def _main_figure(evaluation: Evaluation) -> str:
    detection = evaluation.labels or evaluation.drawn
    if detection is None:
        return f"false alarms {alarms(evaluation.false_alarms)}"
    pair = detection.auroc
    kind = "labelled" if detection.source == "labels" else "drawn"
    return f"AUROC on {kind} defects {change(pair)}, {interval(pair.low, pair.high, evaluation.confidence)}"
