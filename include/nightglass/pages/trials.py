"""What a version was measured at and judged by: the retraining that made it, or one in which it was the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from nightglass.night.report.figures import NOTHING, count, percent
from nightglass.night.report.names import plain
from nightglass.pages.model_facts import ModelFacts
from nightglass.pages.model_proof import Proof
from nightglass.retraining.gate_text import gate_limit, gate_value
from nightglass.retraining.page_parts import DifferenceRow, build_costs, build_detection, build_slices
from nightglass.retraining.records import Evaluation, Gate, Retraining

_MOST_SLICES = 60


@dataclass(frozen=True)
class Trial:
    """A retraining in which ``version`` was measured, and what it measured."""

    version: str
    retraining: Retraining
    proof: Proof

    @property
    def is_challenger(self) -> bool:
        """Whether the gates of the retraining judged this very version; else it was the champion there."""
        return self.retraining.challenger_version == self.version

    @property
    def opponent(self) -> str:
        """The version that it was measured against; a dash where there was none."""
        other = self.retraining.champion_version if self.is_challenger else self.retraining.challenger_version
        return other or NOTHING


@dataclass(frozen=True)
class Cell:
    """One side's value, and what to know about it; nothing invisible is in them."""

    value: str
    note: str = ""
    result: str = ""  # of a gate: passed, failed, not measured


@dataclass(frozen=True)
class ComparedRow:
    """One line of a comparison; None where a side has no such line."""

    label: str
    left: Cell | None
    right: Cell | None


def find_trial(models: ModelFacts, version: str, meeting: Retraining | None) -> Retraining | None:
    """Return the newest retraining whose challenger a version was, else one in which it was the champion.

    That is the ``meeting`` with the version that it is compared with, or the newest one.
    """
    done = [facts.retraining for facts in models.versions if facts.retraining]
    as_champion = [found for found in done if found.champion_version == version]
    own = models.find(version).retraining
    return own or meeting or max(as_champion, key=lambda found: found.started_at, default=None)


def find_meeting(models: ModelFacts, left: str, right: str) -> Retraining | None:
    """Return the retraining that measured both versions on the same images; None where they never met."""
    done = [facts.retraining for facts in models.versions if facts.retraining]
    return next((found for found in done if {found.champion_version, found.challenger_version} == {left, right}), None)


def compare_gates(left: Trial | None, right: Trial | None) -> list[ComparedRow]:
    """Return every gate that judged one of the versions, in the order of the newer report."""
    sides = [
        {gate.name: gate for gate in trial.retraining.gates} if trial and trial.is_challenger else {}
        for trial in (left, right)
    ]
    titles = {name: gate.title for name, gate in chain(sides[1].items(), sides[0].items())}
    return [ComparedRow(title, *(_gate_cell(side.get(name)) for side in sides)) for name, title in titles.items()]


def _gate_cell(gate: Gate | None) -> Cell | None:
    if gate is None:
        return None
    result = "failed" if not gate.passed else "not measured" if gate.challenger is None else "passed"
    limit = "" if gate.limit is None else f"limit {gate_limit(gate)}. "
    return Cell(gate_value(gate, gate.challenger), f"{limit}{plain(gate.why, 600)}", result)


def compare_figures(left: Trial | None, right: Trial | None) -> list[ComparedRow]:
    """Return every figure that was measured of one of the versions."""
    sides = [_list_figures(trial) for trial in (left, right)]
    labels = dict.fromkeys(chain(sides[0], sides[1]))
    return [ComparedRow(label, sides[0].get(label), sides[1].get(label)) for label in labels]


def _list_figures(trial: Trial | None) -> dict[str, Cell]:
    evaluation = trial.proof.evaluation if trial else None
    if trial is None or evaluation is None:
        return {}
    figures = {row.label: _figure_cell(row, trial, row.note) for row in build_detection(evaluation)}
    figures |= _alarm_cells(evaluation, is_challenger=trial.is_challenger)
    for slice_row in build_slices(evaluation)[:_MOST_SLICES]:
        if slice_row.auroc:
            note = f"{slice_row.images} images, {slice_row.auroc.note} defects"
            figures[f"AUROC, {slice_row.name}"] = _figure_cell(slice_row.auroc, trial, note)
    costs = build_costs(evaluation)
    return figures | {name: Cell(other if trial.is_challenger else one) for name, one, other in costs}


def _figure_cell(row: DifferenceRow, trial: Trial, note: str) -> Cell:
    if not trial.is_challenger:
        return Cell(row.champion, note)
    return Cell(row.challenger, f"{note}; {row.low} to {row.high} against version {trial.opponent}")


def _alarm_cells(evaluation: Evaluation, *, is_challenger: bool) -> dict[str, Cell]:
    counted = evaluation.false_alarms
    if not counted.images:
        return {}
    alarms = counted.challenger if is_challenger else counted.champion
    note = f"{count(alarms)} of {count(counted.images)} good images"
    return {"False alarms": Cell(percent(alarms / counted.images), note)}


def compare_rows(
    left: Mapping[str, str], right: Mapping[str, str], *, keep_equal: bool = False
) -> tuple[int, list[ComparedRow]]:
    """Return how many rows both sides have alike, and the rows: those that differ, or all of them."""
    names = dict.fromkeys(chain(left, right))
    equal = [name for name in names if left.get(name) == right.get(name)]
    shown = [name for name in names if keep_equal or name not in equal]
    return len(equal), [
        ComparedRow(name, *(Cell(side[name]) if name in side else None for side in (left, right))) for name in shown
    ]
