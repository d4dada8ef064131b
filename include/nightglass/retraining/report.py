"""The gate report: what people read before they let a challenger become the champion."""

from collections.abc import Sequence

from nightglass.night.report.figures import NOTHING, count, percent
from nightglass.night.shadow_records import SeenNight
from nightglass.retraining.gate_text import gate_limit, gate_value
from nightglass.retraining.markdown import escape, table
from nightglass.retraining.page_parts import (
    build_costs,
    build_detection,
    build_disagreement,
    build_slices,
    build_tiles,
    shorten,
)
from nightglass.retraining.pages import render_page
from nightglass.retraining.records import Evaluation, GateReport, TrainingFacts
from nightglass.retraining.wording import figure

GATE_HEADER = ("Gate", "Passed", "Champion", "Challenger", "Limit", "Why")
SHADOW_HEADER = (
    "Night",
    "Images",
    "Champion's rate",
    "Challenger's",
    "Called alike",
    "Rank correlation",
    "Decision",
    "With the challenger",
)


def render_gate_report(
    evaluation: Evaluation, gates: GateReport, training: TrainingFacts, shadow: Sequence[SeenNight] = ()
) -> str:
    """Return the gate report as one self-contained HTML page; the same facts give the same text.

    Args:
        evaluation: What was measured.
        gates: How it was judged.
        training: What the challenger was fitted on.
        shadow: The nights that it scored beside the champion, the oldest first.
    """
    return render_page(
        "gate_report.html",
        evaluation=evaluation,
        gates=gates,
        training=training,
        tiles=build_tiles(evaluation, training),
        detection=build_detection(evaluation),
        disagreement=build_disagreement(evaluation.false_alarms),
        slices=build_slices(evaluation),
        costs=build_costs(evaluation),
        sources=shorten(training.sources),
        left_out=shorten(training.left_out),
        shadow=shadow_rows(shadow),
    )


def gate_markdown(
    evaluation: Evaluation, gates: GateReport, training: TrainingFacts, shadow: Sequence[SeenNight] = ()
) -> str:
    """Return the gates as Markdown for Airflow's approval page, which drops raw HTML; names are escaped."""
    models = (
        f"Challenger {escape(evaluation.challenger.uri)} against the champion {escape(evaluation.champion.uri)} of "
        f"{escape(evaluation.collection)}, on {evaluation.images:,} frozen images; fitted on "
        f"{training.images:,} images and {training.defects:,} labelled defects."
    )
    parts = [f"**{escape(gates.sentence)}**", models, table(GATE_HEADER, gate_rows(gates))]
    if shadow:
        parts += ["Nights beside the champion:", table(SHADOW_HEADER, shadow_rows(shadow))]
    return "\n\n".join(parts)


def shadow_rows(nights: Sequence[SeenNight]) -> list[list[str]]:
    """Return the cells of every night of a shadow, not escaped, in the order of ``SHADOW_HEADER``."""
    return [
        [
            night.night,
            count(night.scored),
            percent(night.champion_rate),
            percent(night.challenger_rate),
            percent(night.agreement),
            NOTHING if night.rank_correlation is None else figure(night.rank_correlation),
            night.champion_decision.value,
            night.decision.value,
        ]
        for night in nights
    ]


def gate_rows(gates: GateReport) -> list[list[str]]:
    """Return the cells of every gate, not escaped: title, passed, champion, challenger, limit, why."""
    return [
        [
            gate.title,
            "NO" if not gate.passed else "yes" if gate.challenger is not None else "not measured",
            gate_value(gate, gate.champion),
            gate_value(gate, gate.challenger),
            gate_limit(gate),
            gate.why,
        ]
        for gate in gates.gates
    ]
