"""The model card as Markdown, as MLflow shows it beside the version."""

from dataclasses import dataclass

from nightglass.retraining.markdown import code_block, escape, table
from nightglass.retraining.page_parts import build_costs, build_detection, build_slices, shorten
from nightglass.retraining.records import Evaluation, GateReport, TrainingFacts
from nightglass.retraining.report import GATE_HEADER, gate_rows

_SLICE_HEADER = ("Slice", "Images", "False alarms", "Champion's AUROC", "Challenger's", "Difference")


@dataclass(frozen=True)
class CardText:
    """What both forms of a card say in words."""

    identity: list[tuple[str, str]]
    parameters: list[tuple[str, str]]
    uses: list[str]
    limits: list[str]
    reproduce: str


def write_markdown(evaluation: Evaluation, gates: GateReport, training: TrainingFacts, text: CardText) -> str:
    """Return the card as Markdown; everything that comes from outside is escaped."""
    parts = [
        f"# {escape(evaluation.challenger.uri)}",
        escape(gates.sentence),
        table(("What", "Value"), text.identity),
        "## Intended use",
        _bullets(text.uses),
        "## Limits",
        _bullets(text.limits),
        "## Figures",
        *_figures(evaluation),
        "## Slices",
        _slices(evaluation),
        "## Gates",
        table(GATE_HEADER, gate_rows(gates)),
        "## Training images",
        *_training(training),
        "## Parameters",
        table(("Parameter", "Value"), text.parameters),
        "## Reproduce",
        code_block(text.reproduce),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(evaluation: Evaluation) -> list[str]:
    header = ("Figure", "On", "Champion", "Challenger", f"Difference, {evaluation.confidence * 100:g} % interval")
    rows = [
        (row.label, row.note, row.champion, row.challenger, f"{row.difference} ({row.low} to {row.high})")
        for row in build_detection(evaluation)
    ]
    measured = table(header, rows) if rows else "Neither labelled nor drawn defects were measured."
    return [measured, table(("What it takes", "Champion", "Challenger"), build_costs(evaluation))]


def _slices(evaluation: Evaluation) -> str:
    rows = [
        (row.name, row.images, row.alarms, row.auroc.champion, row.auroc.challenger, row.auroc.difference)
        if row.auroc
        else (row.name, row.images, row.alarms, "", "", "too few images for an AUROC")
        for row in build_slices(evaluation)
    ]
    return table(_SLICE_HEADER, rows) if rows else "The frozen images have no slices."


def _training(training: TrainingFacts) -> list[str]:
    labelled = f"{training.defects:,} labelled defects, {training.called_normal:,} called normal"
    counted = f"{training.images:,} images, {labelled}."
    parts = [counted, table(("From", "Images"), shorten(training.sources))]
    if training.left_out:
        parts.append(table(("Left out", "Images"), shorten(training.left_out)))
    if training.new_normal:
        parts.append(f"A new kind of normal: {escape(training.new_normal)}")
    return parts


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)
