from datetime import date

import pytest
from pydantic import ValidationError

from nightglass.collection_retention import Retention
from nightglass.maintenance.retention import NightNeeds, find_due

TODAY = date(2026, 3, 1)


def night(
    day: str,
    *,
    removed: set[str] = frozenset(),
    needed_by: tuple[str, ...] = (),
    judged: int = 0,
    is_searched: bool = False,
) -> NightNeeds:
    return NightNeeds(
        night=day, removed=frozenset(removed), needed_by=list(needed_by), judged=judged, is_searched=is_searched
    )


def due(options: Retention, *nights: NightNeeds) -> list[tuple[str, str, str | None]]:
    return [(each.night, each.kind, each.kept_because) for each in find_due(nights, options, TODAY)]


def test_what_is_older_than_the_days_goes_and_not_a_day_before() -> None:
    options = Retention(pictures_days=30, embeddings_days=20, scores_days=25)
    assert due(options, night("2026-02-09"), night("2026-02-08")) == [("2026-02-08", "embeddings", None)]
    assert due(options, night("2026-02-04")) == [("2026-02-04", "embeddings", None)]
    assert due(options, night("2026-02-03")) == [("2026-02-03", "embeddings", None), ("2026-02-03", "scores", None)]
    assert [kind for _, kind, _ in due(options, night("2026-01-29"))] == ["pictures", "embeddings", "scores"]


def test_null_keeps_it_for_ever() -> None:
    options = Retention(pictures_days=None, embeddings_days=None, scores_days=None)
    assert due(options, night("1999-01-01")) == []


def test_what_a_deletion_finds_its_images_by_stays_until_it_is_done() -> None:
    options = Retention(pictures_days=30, embeddings_days=20, scores_days=25)
    assert due(options, night("2025-01-01", is_searched=True)) == [
        ("2025-01-01", "pictures", None),
        ("2025-01-01", "embeddings", None),
        ("2025-01-01", "scores", "a deletion is not done, and finds its images by them"),
    ]


def test_what_was_removed_is_not_due_again() -> None:
    options = Retention(pictures_days=30, embeddings_days=20)
    assert due(options, night("2025-01-01", removed={"pictures", "embeddings"})) == []


def test_what_somebody_needs_stays_and_says_by_whom() -> None:
    options = Retention(pictures_days=30, embeddings_days=20)
    found = due(
        options, night("2025-01-01", needed_by=("the shadow of r1 goes on", "the retraining r1 is not concluded"))
    )
    assert {why for *_, why in found} == {"the shadow of r1 goes on; the retraining r1 is not concluded"}


@pytest.mark.parametrize(("keep_judged", "why"), [(True, "2 of its images have verdicts"), (False, None)])
def test_pictures_that_people_judged_stay_where_the_file_says_so(keep_judged: bool, why: str | None) -> None:
    options = Retention(pictures_days=30, embeddings_days=20, keep_judged=keep_judged)
    assert due(options, night("2025-01-01", judged=2)) == [
        ("2025-01-01", "pictures", why), ("2025-01-01", "embeddings", None)
    ]  # fmt: skip


def test_embeddings_go_no_later_than_scores() -> None:
    with pytest.raises(ValidationError, match="embeddings_days: expected at most scores_days, 10"):
        Retention(embeddings_days=20, scores_days=10)
    with pytest.raises(ValidationError, match="embeddings_days: expected at most scores_days, 10"):
        Retention(embeddings_days=None, scores_days=10)
