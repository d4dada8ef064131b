import random
from typing import Any

import pytest

from nightglass.retraining.verdicts import Verdict, VerdictsInEffect, find_conflicts

NIGHT, OTHER = "2026-03-14", "2026-03-15"
A, B = "a" * 64, "b" * 64


def given(entry: int, on: str, verdict: str, *, at: int | None = None, by: str = "ana", night: str = NIGHT) -> Verdict:
    """A verdict on content ``A`` or ``B``, on a slice ``name=value``, or on the night for an empty ``on``."""
    subject: dict[str, Any] = {"scope": "night"}
    if "=" in on:
        subject = {"scope": "slice", "slice": on}
    elif on:
        subject = {"scope": "image", "sha256": on, "path": f"{on[:1]}.jpg"}
    time = f"2026-03-20T00:00:{entry if at is None else at:02d}.000000Z"
    return Verdict.model_validate(
        {"entry": entry, "night": night, "verdict": verdict, "by": by, "at": time, "source": "cli", **subject}
    )


LEFT = "camera=left"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], None),
        ([given(1, "", "normal")], "normal"),
        ([given(1, LEFT, "defect"), given(2, "", "normal")], "defect"),
        ([given(1, A, "unsure"), given(2, LEFT, "defect"), given(3, "", "normal")], "unsure"),
        ([given(1, A, "defect"), given(2, A, "normal")], "normal"),
        ([given(1, A, "defect", at=9), given(2, A, "normal", at=8)], "defect"),  # recorded later, given earlier
        ([given(1, A, "defect", at=5), given(2, A, "normal", at=5)], "normal"),
        ([given(1, LEFT, "defect"), given(2, "line=2", "normal")], "normal"),
        ([given(3, LEFT, "defect"), given(2, "line=2", "normal")], "defect"),
        ([given(1, "camera=right", "defect")], None),
        ([given(1, "", "defect", night=OTHER)], None),
        ([given(1, LEFT, "defect", night=OTHER)], None),
        ([given(1, A, "defect", night=OTHER)], "defect"),  # a copy in another night
        ([given(1, A, "defect"), given(2, A, "normal", night=OTHER)], "normal"),
        ([given(1, B, "defect")], None),
    ],
)
def test_which_verdict_holds(verdicts: list[Verdict], expected: str | None) -> None:
    for order in (verdicts, verdicts[::-1]):
        found = VerdictsInEffect(order).find(NIGHT, A, (LEFT, "line=2"))
        assert (found and found.verdict) == expected


def test_an_unreadable_image_has_the_verdict_of_its_night_only() -> None:
    in_effect = VerdictsInEffect([given(1, A, "defect"), given(2, "", "normal")])
    found = in_effect.find(NIGHT, None)
    assert found is not None
    assert found.verdict == "normal"
    assert in_effect.find(OTHER, None) is None


def test_unsure_teaches_nothing_but_is_no_silence() -> None:
    in_effect = VerdictsInEffect([given(1, A, "unsure"), given(2, B, "defect")])
    unsure, defect = in_effect.find(NIGHT, A), in_effect.find(NIGHT, B)
    assert unsure is not None
    assert unsure.label is None
    assert defect is not None
    assert defect.label == "defect"


def test_all_gives_one_a_subject_in_order_of_time() -> None:
    verdicts = [given(1, A, "defect", at=7), given(2, B, "normal"), given(3, A, "normal", at=3), given(4, "", "unsure")]
    in_effect = VerdictsInEffect(verdicts)
    assert [verdict.entry for verdict in in_effect.all()] == [2, 4, 1]
    assert len(in_effect) == 3


def test_it_agrees_with_a_search_through_all_verdicts() -> None:
    """The same rules, written as one sort over every verdict that concerns an image."""
    chance = random.Random(7)
    contents, slices, nights = [f"{n:064x}" for n in range(9)], [LEFT, "camera=right", "line=2"], [NIGHT, OTHER]
    verdicts = [
        given(
            entry,
            chance.choice([*contents, *slices, ""]),
            chance.choice(["defect", "normal", "unsure"]),
            at=chance.randrange(9),
            night=chance.choice(nights),
        )
        for entry in range(1, 60)
    ]
    in_effect = VerdictsInEffect(verdicts)
    for _ in range(200):
        night, sha256 = chance.choice(nights), chance.choice([*contents, "f" * 64])
        own = chance.sample(slices, 2)
        level = {"image": 2, "slice": 1, "night": 0}
        matching = [
            verdict
            for verdict in verdicts
            if verdict.sha256 == sha256
            or (verdict.night == night and (verdict.slice in own or verdict.scope == "night"))
        ]
        best = max(matching, key=lambda v: (level[v.scope], v.at, v.entry), default=None)
        assert in_effect.find(night, sha256, own) == best


def test_conflicts_are_subjects_with_different_words() -> None:
    verdicts = [
        given(1, A, "defect"),
        given(2, LEFT, "normal"),
        given(3, A, "normal", by="ben", night=OTHER),
        given(4, LEFT, "normal", by="ben"),  # the same word of two people
        given(5, LEFT, "defect", night=OTHER),  # another subject
        given(6, "", "defect"),
        given(7, "", "unsure"),  # the same person changed her mind
        given(8, A, "defect", at=2),  # recorded late
    ]
    found = find_conflicts(verdicts)
    assert [[verdict.entry for verdict in conflict] for conflict in found] == [[6, 7], [1, 8, 3]]
    assert [(verdict.by, verdict.verdict) for verdict in found[1]][-1] == ("ben", "normal")


def test_what_was_taken_back_neither_counts_nor_disputes() -> None:
    verdicts = [
        given(1, A, "defect"),
        given(2, A, "normal", by="ben").model_copy(update={"withdrawn_at": "2026-03-21"}),
    ]
    found = VerdictsInEffect(verdicts).find(NIGHT, A)
    assert found is not None
    assert found.entry == 1
    assert find_conflicts(verdicts) == []
    assert len(VerdictsInEffect(verdicts[1:])) == 0
