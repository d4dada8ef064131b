"""The parts of the page that are words and numbers: tiles, reasons, drift, quarantine, provenance."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nightglass import __version__
from nightglass.night.report.charts import draw_shares
from nightglass.night.report.figures import NOTHING, count, figure, mark, p_value, percent, times
from nightglass.night.report.names import without_credentials
from nightglass.night.report.source import ScoredNight
from nightglass.records import (
    Assessment,
    Baseline,
    Decision,
    EmbeddingDrift,
    QuarantinedImage,
    Reason,
    StatisticDrift,
    Verb,
)

QUARANTINE_WORDS = {
    "empty_file": "The file is empty",
    "not_an_image": "The content is no image",
    "truncated": "The image ends too early",
    "corrupt": "The image is damaged",
    "too_many_pixels": "More pixels than allowed",
    "too_large_file": "The file is larger than allowed",
    "wrong_suffix": "The content is not what the suffix says",
    "link_outside_folder": "A link that leads out of the folder",
    "not_a_file": "Not a regular file",
    "unreadable": "The file could not be read",
}
_COUNT_CODES = frozenset({"min_images", "cooldown"})


@dataclass(frozen=True)
class Tile:
    """A key number with its name and what to compare it with."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class ReasonRow:
    """A reason and its numbers as ``(name, text)`` pairs."""

    reason: Reason
    numbers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class StatisticRow:
    """One statistic's drift with its chart, and what the decision made of it."""

    label: str
    statistic: StatisticDrift
    reason: Reason | None
    chart: Markup


@dataclass(frozen=True)
class DriftSection:
    """All drift of the night."""

    statistics: Sequence[StatisticRow]
    embedding: EmbeddingDrift | None
    embedding_reason: Reason | None


@dataclass(frozen=True)
class QuarantineSection:
    """Grouped counts as ``(words, count)`` and the first images, each with its reason in words."""

    total: int
    groups: Sequence[tuple[str, int]]
    images: Sequence[tuple[QuarantinedImage, str]]


def without_verb(decision: Decision) -> str:
    """Return the sentence without the verb that it starts with, which a badge beside it shows."""
    verb, colon, rest = decision.sentence.partition(": ")
    text = rest if colon and verb.casefold() == decision.verb else decision.sentence
    return text[:1].upper() + text[1:]


def build_tiles(night: ScoredNight) -> list[Tile]:
    """Return the key numbers."""
    summary = night.summary
    rate = summary.anomalous / summary.scored if summary.scored else None
    files = "file" if summary.ignored == 1 else "files"
    left_out = f"; {count(summary.ignored)} other {files} ignored" if summary.ignored else ""
    share = summary.quarantined / summary.images if summary.images else None
    base = night.assessment.baseline if night.assessment else None
    return [
        Tile("Scored", count(summary.scored), f"of {count(summary.images)} images{left_out}"),
        Tile("Anomalous", count(summary.anomalous), f"{percent(rate)} of the scored{_describe_usual(rate, base)}"),
        Tile(
            "Quarantined",
            count(summary.quarantined),
            f"{percent(share)} of the images" if share else "nothing left out",
        ),
        Tile(
            "Image threshold",
            figure(summary.image_threshold),
            f"about {percent(summary.false_alarm_rate)} of good images score above it"
            if summary.false_alarm_rate is not None
            else "anomalous at and above it",
        ),
    ]


def _describe_usual(rate: float | None, base: Baseline | None) -> str:
    if base is None:
        return ""
    if base.anomaly_rate is None:
        return "; the usual rate is still being learned"
    ratio = f", {times(rate / base.anomaly_rate)}" if rate is not None and base.anomaly_rate else ""
    return f"; usual {percent(base.anomaly_rate)}{ratio}"


def build_reasons(decision: Decision) -> list[ReasonRow]:
    """Return the decision's reasons, what asks for the most first, each with the numbers it has."""
    weight = {Verb.HOLD: 0, Verb.RETRAIN: 1, Verb.WATCH: 2, Verb.OK: 3}
    ordered = sorted(decision.reasons, key=lambda reason: weight[reason.verb])
    return [ReasonRow(reason, _list_numbers(reason)) for reason in ordered]


def _list_numbers(reason: Reason) -> list[tuple[str, str]]:
    is_rate, is_share = reason.code.startswith("anomaly_rate"), reason.code.startswith("quarantine")
    is_count = reason.code in _COUNT_CODES
    show = percent if is_rate or is_share else mark if is_count else figure
    show_limit = times if is_rate else percent if is_share else mark  # a rate is limited by its ratio
    pairs = [
        ("tonight", show(reason.value)),
        ("usual", show(reason.baseline)),
        ("ratio", times(reason.ratio)),
        ("limit", show_limit(reason.limit)),
        ("significance", p_value(reason.p_value)),
    ]
    return [(label, text) for label, text in pairs if text != NOTHING]


def build_drift(assessment: Assessment) -> DriftSection | None:
    """Return the drift of every statistic and of the embeddings; ``None`` when nothing was measured."""
    drift = assessment.drift
    if not drift.statistics and drift.embedding is None:
        return None
    reasons = {reason.code: reason for reason in assessment.decision.reasons}
    rows = [
        StatisticRow(
            statistic.name.replace("_", " "),
            statistic,
            reasons.get(f"drift:{statistic.name}"),
            draw_shares(statistic, f"drift-{index}"),
        )
        for index, statistic in enumerate(drift.statistics, start=1)
    ]
    return DriftSection(rows, drift.embedding, reasons.get("drift:embedding"))


def build_quarantine(night: ScoredNight) -> QuarantineSection | None:
    """Return what was left out, most frequent reason first; ``None`` when nothing was."""
    groups = sorted(night.quarantine_reasons.items(), key=lambda group: (-group[1], group[0]))
    total = sum(number for _, number in groups)
    if not total:
        return None
    return QuarantineSection(
        total,
        [(QUARANTINE_WORDS.get(reason, reason), number) for reason, number in groups],
        [(image, QUARANTINE_WORDS.get(image.reason, image.reason)) for image in night.quarantine_sample],
    )


def build_provenance(night: ScoredNight) -> list[tuple[str, str]]:
    """Return where everything came from, as ``(name, text)`` pairs."""
    summary = night.summary
    pairs = [
        ("Model", summary.model),
        ("Model version", summary.model_version),
        ("Data version", summary.data_version),
        ("Images", without_credentials(summary.images_url)),
        ("Neighbours per image", str(summary.num_neighbors or "")),
        ("Nightglass", __version__),
    ]
    return [(label, text) for label, text in pairs if text]
