import pytest

from nightglass.champion_log import check_was_champion, find_done, version_before
from nightglass.errors import ModelError
from nightglass.store import PromotionEvent

NAME = "nightglass-cells"


def history(steps: str) -> list[PromotionEvent]:
    """Newest first, from versions in their order; ``<2`` is a rollback to 2."""
    events: list[PromotionEvent] = []
    for number, step in enumerate(steps.split(), start=1):
        event = PromotionEvent(
            collection="cells",
            model_name=NAME,
            event="rolled_back" if step.startswith("<") else "promoted",
            version=step.removeprefix("<"),
            previous_version=events[0].version if events else None,
            at=f"2026-03-{number:02d}T00:00:00.000000Z",
            until=None,
            by="ana",
            reason="why",
            run=f"run-{number}",
            entry=number,
        )
        events.insert(0, event)
    return events


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("1 2", "1"),
        ("1 2 3", "2"),
        ("1 2 3 <2", "1"),  # not 3, which was left
        ("1 2 3 <1 4", "1"),
        ("1 2 <1 2", "1"),  # 2 was promoted again
        ("1 2 3 <1 <3", "1"),  # forth again to a version that was left
        ("1 2 2 2", "1"),  # the same one again changed nothing
        ("1 2 3 4 <3 <2", "1"),
    ],
)
def test_the_version_before_the_champion(steps: str, expected: str) -> None:
    assert version_before(history(steps), NAME) == expected


@pytest.mark.parametrize(("steps", "got"), [("", "none"), ("1", "1 since 2026"), ("1 2 <1", "1 since 2026")])
def test_a_first_champion_has_none_before_it(steps: str, got: str) -> None:
    with pytest.raises(ModelError, match=f"expected a champion before the present one, got only {got}"):
        version_before(history(steps), NAME)


def test_only_a_version_that_was_champion_is_rolled_back_to() -> None:
    check_was_champion(history("1 2 10"), "1", NAME)
    with pytest.raises(ModelError, match=r"champion before \(1, 2, 10\), got '3'"):
        check_was_champion(history("1 2 10"), "3", NAME)


def test_a_run_is_found_wherever_it_is_in_the_log() -> None:
    known = history("1 2 3 <1")
    done = find_done(known, "promoted", "2", "run-2")
    assert done is not None
    assert done.entry == 2
    # A run that was cleared has fitted another version; a rollback by a promotion's run is another act.
    assert find_done(known, "promoted", "4", "run-2") is None
    assert find_done(known, "rolled_back", None, "run-2") is None
    assert find_done(known, "promoted", "2", None) is None
    going_back = find_done(known, "rolled_back", None, "run-4")
    assert going_back is not None
    assert going_back.version == "1"
