"""What the gate report and the model card show of an evaluation: tiles, tables, and intervals to draw."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightglass.night.report.figures import count, figure, percent
from nightglass.night.report.sections import Tile
from nightglass.retraining.records import Detection, Evaluation, FalseAlarms, Paired, SliceFigures, TrainingFacts
from nightglass.retraining.wording import alarms, signed
from nightglass.retraining.wording import figure as precise

_SOURCES = {"labels": "labelled", "drawn": "drawn"}
_LEAST_SCALE = 0.02  # of an axis of differences, so that nothing at all does not fill it
_EDGE = 48.0  # percent of the axis's width on each side of zero
_MOST_SOURCES = 60


@dataclass(frozen=True)
class Span:
    """An interval of a difference as places on an axis, percent of its width; zero is at 50."""

    low: float
    high: float
    point: float
    tone: str  # better, worse, even


@dataclass(frozen=True)
class DifferenceRow:
    """One figure of both models and its difference."""

    label: str
    note: str
    champion: str
    challenger: str
    difference: str
    low: str
    high: str
    span: Span


@dataclass(frozen=True)
class SliceRow:
    """One slice; ``auroc`` is None where it is too small."""

    name: str
    images: str
    alarms: str
    auroc: DifferenceRow | None


def build_tiles(evaluation: Evaluation, training: TrainingFacts) -> list[Tile]:
    """Return the key numbers: what it finds, how often it alarms for nothing, what it takes, what it knows."""
    tiles: list[Tile] = []
    for detection in (evaluation.labels, evaluation.drawn):
        if detection:
            pair = detection.auroc
            note = f"champion {precise(pair.champion)}, {signed(pair.low)} to {signed(pair.high)}"
            tiles.append(Tile(f"AUROC, {_SOURCES[detection.source]} defects", precise(pair.challenger), note))
    counted = evaluation.false_alarms
    if counted.images:
        note = f"champion {percent(counted.champion / counted.images)}, aim {_aim(evaluation)}"
        tiles.append(Tile("False alarms", percent(counted.challenger / counted.images), note))
    before, after = evaluation.champion_cost, evaluation.challenger_cost
    tiles.append(Tile("One image, p95", f"{figure(after.p95_ms)}\u202fms", f"champion {figure(before.p95_ms)}\u202fms"))
    note = f"champion {count(training.champion_images)}"
    tiles.append(Tile("Training images", count(training.images), note))
    return tiles


def build_detection(evaluation: Evaluation) -> list[DifferenceRow]:
    """Return a row for each measured figure of detection."""
    rows: list[tuple[str, str, Paired]] = []
    for detection in (evaluation.labels, evaluation.drawn):
        if detection:
            rows.extend(_list_pairs(detection))
    scale = _scale([pair for _, _, pair in rows])
    return [_row(label, note, pair, scale) for label, note, pair in rows]


def build_slices(evaluation: Evaluation) -> list[SliceRow]:
    """Return a row for each slice."""
    scale = _scale([found.auroc for found in evaluation.slices if found.auroc])
    return [_slice_row(found, scale) for found in evaluation.slices]


def build_costs(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return what both models take as ``(name, champion, challenger)``."""
    before, after = evaluation.champion_cost, evaluation.challenger_cost
    named = [
        ("One image at a time, p50", "ms", before.p50_ms, after.p50_ms),
        ("One image at a time, p95", "ms", before.p95_ms, after.p95_ms),
        ("Time to the first score", "s", before.cold_start_seconds, after.cold_start_seconds),
        ("Peak memory", "MB", before.peak_rss_mb, after.peak_rss_mb),
        ("Size on disk", "MB", before.size_mb, after.size_mb),
    ]
    return [(name, f"{figure(one)} {unit}", f"{figure(other)} {unit}") for name, unit, one, other in named]


def build_disagreement(counted: FalseAlarms) -> list[tuple[str, str]]:
    """Return on how many good images which model alarms."""
    both = counted.champion - counted.only_champion
    none = counted.images - both - counted.only_champion - counted.only_challenger
    return [
        ("Neither", count(none)),
        ("Both", count(both)),
        ("Only the champion", count(counted.only_champion)),
        ("Only the challenger", count(counted.only_challenger)),
    ]


def shorten(counts: dict[str, int]) -> list[tuple[str, str]]:
    """Return named counts in their order; beyond sixty, the last line says how many are left out."""
    listed = [(name, count(number)) for name, number in counts.items()]
    more = listed[_MOST_SOURCES:]
    left = sum(list(counts.values())[_MOST_SOURCES:])
    return [*listed[:_MOST_SOURCES], *([(f"{len(more)} more", count(left))] if more else [])]


def _aim(evaluation: Evaluation) -> str:
    return percent(evaluation.target_false_alarm_rate)


def _list_pairs(detection: Detection) -> list[tuple[str, str, Paired]]:
    kind = _SOURCES[detection.source]
    note = f"{count(detection.defects)} {kind} defects, {count(detection.normals)} good images"
    return [
        (f"AUROC, {kind} defects", note, detection.auroc),
        (f"Average precision, {kind} defects", note, detection.average_precision),
        (f"Found at the threshold, {kind} defects", note, detection.found),
    ]


def _slice_row(found: SliceFigures, scale: float) -> SliceRow:
    row = _row(found.slice, _SOURCES[found.source], found.auroc, scale) if found.auroc and found.source else None
    said = alarms(found.false_alarms) if found.false_alarms.images else "no good images"
    return SliceRow(found.slice, count(found.images), said, row)


def _row(label: str, note: str, pair: Paired, scale: float) -> DifferenceRow:
    def place(value: float) -> float:
        return round(50 + _EDGE * max(-1.0, min(1.0, value / scale)), 2)

    tone = "better" if pair.low > 0 else "worse" if pair.high < 0 else "even"
    return DifferenceRow(
        label=label,
        note=note,
        champion=precise(pair.champion),
        challenger=precise(pair.challenger),
        difference=signed(pair.difference),
        low=signed(pair.low),
        high=signed(pair.high),
        span=Span(place(pair.low), place(pair.high), place(pair.difference), tone),
    )


def _scale(pairs: Sequence[Paired]) -> float:
    return max([_LEAST_SCALE, *(max(abs(pair.low), abs(pair.high), abs(pair.difference)) for pair in pairs)])
