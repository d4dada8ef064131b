"""The gate on slices: a model that is better on the whole must not be much worse on a part."""

from nightglass.collection_parts import Gates
from nightglass.night.report.names import plain
from nightglass.retraining.quality_gates import chance_above, significance, unmeasured
from nightglass.retraining.records import Evaluation, Gate, Paired, SliceFigures
from nightglass.retraining.wording import alarms, change

_NAMED = 3
_NAME_CHARACTERS = 80


def judge_slices(evaluation: Evaluation, options: Gates) -> Gate:
    """Slices: none lower by more than its margin and beyond chance, none with far more false alarms.

    As many are looked at, a lone bad figure of a small one is no proof.
    """
    title = "No slice much worse"
    judged = [found for found in evaluation.slices if found.images >= options.min_slice_images]
    if not judged:
        few = f"of {len(evaluation.slices)} slices none has {options.min_slice_images} frozen images"
        text = few if evaluation.slices else "the frozen images have no slices; the collection's file names them"
        return unmeasured("slices", title, text, passed=True)
    measured = {found.slice: found.auroc for found in judged if found.auroc}
    lower = {name for name, pair in measured.items() if _is_much_lower(pair, options.slice_auroc_margin)}
    louder = _find_louder(judged, evaluation, options)
    worst = min(measured, key=lambda name: (name not in lower, measured[name].difference), default=None)
    said = [f"{plain(found.slice, _NAME_CHARACTERS)}: false alarms {alarms(found.false_alarms)}" for found in louder]
    pair = None
    if worst is not None:
        pair = measured[worst]
        said.append(f"worst AUROC of {len(measured)}: {plain(worst, _NAME_CHARACTERS)}, {change(pair)}")
    return Gate(
        name="slices",
        title=title,
        champion=pair.champion if pair else None,
        challenger=pair.challenger if pair else None,
        low=pair.low if pair else None,
        high=pair.high if pair else None,
        limit=pair.champion - options.slice_auroc_margin if pair else None,
        passed=not (lower or louder),
        why="; ".join([*said[:_NAMED], f"may be lower by {options.slice_auroc_margin:g} or by chance"]),
    )


def _is_much_lower(pair: Paired, margin: float) -> bool:
    return pair.difference < -margin and pair.high < 0


def _find_louder(judged: list[SliceFigures], evaluation: Evaluation, options: Gates) -> list[SliceFigures]:
    """Return the slices with more false alarms than the champion's and, beyond chance, than the limit; worst first."""
    limit = options.max_false_alarm_ratio * evaluation.target_false_alarm_rate
    level = significance(options) / len(judged)

    def is_louder(found: SliceFigures) -> bool:
        counted = found.false_alarms
        more = counted.challenger > counted.champion
        return more and chance_above(counted.challenger, counted.images, limit) <= level

    return sorted(filter(is_louder, judged), key=lambda found: -found.false_alarms.challenger)
