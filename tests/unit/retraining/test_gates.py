"""What each gate lets pass and what it refuses: tables of figures, no detector."""

from typing import Any

import numpy as np
import pytest

from nightglass.collection_parts import Gates
from nightglass.records import ModelRef
from nightglass.retraining.comparison import compare_false_alarms
from nightglass.retraining.gates import judge
from nightglass.retraining.records import (
    Cost,
    Detection,
    Evaluation,
    FalseAlarms,
    Gate,
    GateReport,
    Paired,
    SliceFigures,
    TrainingFacts,
)

NAMES = [
    "training",
    "labels",
    "drawn",
    "detection",
    "false_alarms",
    "slices",
    "latency",
    "memory",
    "size",
    "cold_start",
]
COST = Cost(p50_ms=30, p95_ms=40, cold_start_seconds=2, peak_rss_mb=400, size_mb=60)


def paired(difference: float = 0.0, reach: float = 0.01, champion: float = 0.9, p_value: float = 0.5) -> Paired:
    """A figure whose interval reaches ``reach`` to both sides."""
    return Paired(
        champion=champion,
        challenger=champion + difference,
        low=difference - reach,
        high=difference + reach,
        p_value=p_value,
    )


def detection(source: str = "labels", **figures: Paired) -> Detection:
    usual = {name: paired() for name in ("auroc", "average_precision", "found")}
    return Detection(source=source, defects=50, normals=400, **(usual | figures))


def alarms(only_champion: int, only_challenger: int, both: int, images: int) -> FalseAlarms:
    place = np.arange(images)
    champion = place < both + only_champion
    challenger = (place < both) | ((place >= both + only_champion) & (place < both + only_champion + only_challenger))
    return compare_false_alarms(champion, challenger)


def evaluation(**changes: Any) -> Evaluation:
    """Models that are alike; a better AUROC on labelled defects where nothing else is said."""
    usual = {
        "collection": "cells",
        "champion": ModelRef(name="cells", version="1"),
        "challenger": ModelRef(name="cells", version="2"),
        "data_version": "0" * 64,
        "images": 450,
        "confidence": 0.95,
        "labels": detection(auroc=paired(0.03, p_value=0.001)),
        "drawn": detection("drawn"),
        "false_alarms": alarms(1, 1, 3, 400),
        "target_false_alarm_rate": 0.01,
        "slices": [],
        "rank_correlation": 0.9,
        "champion_cost": COST,
        "challenger_cost": COST,
    }
    return Evaluation(**(usual | changes))


def training(images: int = 1000, champion_images: int = 1000) -> TrainingFacts:
    return TrainingFacts(
        data_version="1" * 64,
        images=images,
        defects=0,
        called_normal=0,
        champion_images=champion_images,
        sources={},
        left_out={},
    )


def judged(facts: TrainingFacts | None = None, **changes: Any) -> GateReport:
    return judge(evaluation(**changes), facts or training(), Gates())


def failed(report: GateReport) -> list[str]:
    return [gate.name for gate in report.gates if not gate.passed]


def gate(report: GateReport, name: str) -> Gate:
    return next(gate for gate in report.gates if gate.name == name)


def test_a_better_challenger_passes_every_gate_in_order_and_the_sentence_says_by_how_much() -> None:
    report = judged()
    assert [gate.name for gate in report.gates] == [*NAMES, "improvement"]
    assert report.passed
    assert report.sentence.startswith("All 11 gates passed: AUROC on labelled defects 0.900 → 0.930 (+0.030)")
    assert all(gate.why for gate in report.gates)


def test_a_tie_is_refused_by_the_improvement_gate_alone() -> None:
    report = judged(labels=detection())
    assert failed(report) == ["improvement"]
    assert report.sentence.startswith("Refused by 1 of 11 gates (better than the champion): AUROC")
    assert "a tie is not a win" in gate(report, "improvement").why


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"labels": detection(auroc=paired(-0.021, 0.05))}, ["labels", "improvement"]),
        ({"labels": detection(auroc=paired(-0.019, 0.05))}, ["improvement"]),
        ({"labels": detection(auroc=paired(-0.012, 0.01))}, ["labels", "improvement"]),
        ({"drawn": detection("drawn", auroc=paired(-0.021, 0.05))}, ["drawn"]),
        ({"labels": detection(auroc=paired(-0.009, 0.005))}, ["improvement"]),
        ({"drawn": detection("drawn", auroc=paired(-0.015, 0.01))}, []),
        ({"labels": None, "drawn": detection("drawn", auroc=paired(-0.015, 0.01))}, ["drawn", "improvement"]),
        ({"labels": None, "drawn": detection("drawn", auroc=paired(-0.015, 0.02))}, ["improvement"]),
        ({"labels": None, "drawn": detection("drawn", auroc=paired(0.02, p_value=0.001))}, []),
        ({"drawn": None}, []),
        ({"labels": None, "drawn": None}, ["drawn", "detection", "improvement"]),
    ],
)
def test_detection_of_labelled_and_drawn_defects(changes: dict, refused: list[str]) -> None:
    assert failed(judged(**changes)) == refused


@pytest.mark.parametrize(
    ("found", "passes"),
    [(paired(-0.3, 0.1), False), (paired(-0.09, 0.05), True), (paired(-0.12, 0.15), True), (paired(0.2, 0.1), True)],
    ids=["far fewer", "a few fewer", "by chance", "more"],
)
def test_a_challenger_that_hardly_alarms_is_refused_although_it_ranks_well(found: Paired, passes: bool) -> None:
    report = judged(labels=detection(auroc=paired(0.03, p_value=0.001), found=found))
    assert failed(report) == ([] if passes else ["detection"])


@pytest.mark.parametrize(
    ("counted", "passes"),
    [
        (alarms(0, 1, 0, 30), True),  # one of thirty is no proof
        (alarms(0, 4, 0, 30), False),
        (alarms(0, 8, 0, 400), True),  # 2 %, as allowed
        (alarms(0, 16, 0, 400), False),
        (alarms(40, 20, 60, 400), True),  # many, but the champion's were more
        (alarms(0, 0, 0, 0), False),
    ],
)
def test_false_alarms_count_beyond_chance_and_beyond_the_champions(counted: FalseAlarms, passes: bool) -> None:
    assert ("false_alarms" not in failed(judged(false_alarms=counted))) == passes


def slice_of(name: str, images: int = 100, auroc: Paired | None = None, louder: int = 0) -> SliceFigures:
    counted = alarms(0, louder, 0, images)
    return SliceFigures(slice=name, images=images, false_alarms=counted, auroc=auroc, source="drawn" if auroc else None)


@pytest.mark.parametrize(
    ("slices", "passes", "said"),
    [
        ([slice_of("a=1", auroc=paired()), slice_of("a=2", auroc=paired(-0.1, 0.05))], False, "a=2, 0.900 → 0.800"),
        ([slice_of("a=1", auroc=paired()), slice_of("a=2", auroc=paired(-0.1, 0.2))], True, "a=2, 0.900 → 0.800"),
        ([slice_of("a=1", auroc=paired(-0.04, 0.01))], True, "may be lower by 0.05 or by chance"),
        ([slice_of("a=1", images=29, auroc=paired(-0.4, 0.05))], True, "not measured: of 1 slices none has 30"),
        ([slice_of("a=1"), slice_of("a=2", louder=12)], False, "a=2: false alarms 0 → 12 of 100 good images"),
        ([slice_of("a=1"), slice_of("a=2", louder=3)], True, "may be lower"),
        ([], True, "the collection's file names them"),
    ],
)
def test_slices_are_judged_where_they_are_large_and_the_worst_is_named(
    slices: list[SliceFigures], passes: bool, said: str
) -> None:
    report = judged(slices=slices)
    assert gate(report, "slices").passed == passes
    assert said in gate(report, "slices").why


@pytest.mark.parametrize(
    ("field", "value", "refused"),
    [
        ("p50_ms", 60, "latency"),
        ("p95_ms", 80, "latency"),
        ("p95_ms", 59, None),
        ("peak_rss_mb", 700, "memory"),
        ("size_mb", 121, "size"),
        ("cold_start_seconds", 3.1, "cold_start"),
        ("cold_start_seconds", 2.9, None),
    ],
)
def test_costs_are_bounded_by_the_champions(field: str, value: float, refused: str | None) -> None:
    report = judged(challenger_cost=COST.model_copy(update={field: value}))
    assert failed(report) == ([refused] if refused else [])


def test_a_start_within_a_second_is_no_slower() -> None:
    quick = COST.model_copy(update={"cold_start_seconds": 0.5})
    slower = COST.model_copy(update={"cold_start_seconds": 1.4})
    assert failed(judged(champion_cost=quick, challenger_cost=slower)) == []


def test_few_training_images_are_refused() -> None:
    assert failed(judged(training(images=499))) == ["training"]
    assert failed(judged(training(images=500))) == []
    assert failed(judged(training(champion_images=0))) == []


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"labels": detection(auroc=paired(0.02, p_value=0.03))}, False),
        ({"labels": detection(auroc=paired(0.02, p_value=0.024))}, True),  # the main figure
        ({"labels": None, "drawn": detection("drawn", auroc=paired(0.02, p_value=0.024))}, True),  # now this is
        ({"labels": detection(), "drawn": detection("drawn", auroc=paired(0.02, p_value=0.01))}, False),  # one of three
        ({"labels": detection(), "drawn": detection("drawn", auroc=paired(0.02, p_value=0.008))}, True),
        ({"labels": detection(average_precision=paired(0.1, p_value=0.001))}, True),
        ({"labels": detection(), "false_alarms": alarms(25, 0, 5, 400)}, True),
        # Fewer than were aimed for is a higher threshold, no better model.
        ({"labels": detection(), "false_alarms": alarms(30, 0, 0, 4000)}, False),
    ],
)
def test_an_improvement_needs_proof_corrected_for_the_looks(changes: dict, passes: bool) -> None:
    assert gate(judged(**changes), "improvement").passed == passes


def test_a_slice_whose_name_hides_characters_is_written_out() -> None:
    named = slice_of("camera=\u202egnp\n| x |", auroc=paired(-0.2, 0.05))
    why = gate(judged(slices=[named]), "slices").why
    assert "\\u202egnp\\x0a" in why
    assert "\n" not in why
