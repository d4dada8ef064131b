"""The gate report: what people read before they let a challenger become the champion."""

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

GATE_HEADER = ("Gate", "Passed", "Champion", "Challenger", "Limit", "Why")


def render_gate_report(evaluation: Evaluation, gates: GateReport, training: TrainingFacts) -> str:
    """Return the gate report as one self-contained HTML page; the same facts give the same text.

    Args:
        evaluation: What was measured.
        gates: How it was judged.
        training: What the challenger was fitted on.
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
    )


def gate_markdown(evaluation: Evaluation, gates: GateReport, training: TrainingFacts) -> str:
    """Return the gates as Markdown for Airflow's approval page, which drops raw HTML; names are escaped."""
    models = (
        f"Challenger {escape(evaluation.challenger.uri)} against the champion {escape(evaluation.champion.uri)} of "
        f"{escape(evaluation.collection)}, on {evaluation.images:,} frozen images; fitted on "
        f"{training.images:,} images and {training.defects:,} labelled defects."
    )
    return "\n\n".join([f"**{escape(gates.sentence)}**", models, table(GATE_HEADER, gate_rows(gates))])


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
