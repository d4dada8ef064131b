from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from nightglass.night.shadow_records import NewShadow, SeenNight
from nightglass.records import Assessment, Verb
from nightglass.store import Store

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 15, 6, tzinfo=UTC)
LATER = datetime(2026, 3, 18, 6, tzinfo=UTC)


def asked(run: str = "manual__1", **changes: Any) -> NewShadow:
    fields: dict[str, Any] = {
        "collection": "cells",
        "run": run,
        "model_name": "nightglass-cells",
        "champion_version": "1",
        "challenger_version": "2",
        "challenger_fingerprint": "ab" * 32,
        "nights_wanted": 2,
        "max_days": 30,
    }
    return NewShadow(**fields | changes)


def seen(night: str = "2026-03-16", run: str = "manual__1", **changes: Any) -> SeenNight:
    fields: dict[str, Any] = {
        "collection": "cells",
        "run": run,
        "night": night,
        "data_version": "9f2c",
        "scored": 100,
        "both_anomalous": 2,
        "only_champion": 5,
        "only_challenger": 1,
        "agreement": 0.94,
        "rank_correlation": None,
        "champion_decision": Verb.RETRAIN,
        "decision": Verb.OK,
        "sentence": "Ok: '; DROP TABLE shadows; --",
        "report_url": "/nights/report.html",
    }
    return SeenNight(**fields | changes)


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def test_a_shadow_begins_once_after_the_last_published_night(
    store: Store, make_assessment: Callable[..., Assessment]
) -> None:
    store.publish_night(make_assessment("2026-03-14"), "report.html", NOW)
    begun = store.shadows.begin(asked(), NOW)
    assert (begun.after_night, begun.began_at, begun.ending) == ("2026-03-14", "2026-03-15T06:00:00.000000Z", None)
    store.publish_night(make_assessment("2026-03-16"), "report.html", NOW)
    # What the file says by now counts for the next one.
    assert store.shadows.begin(asked(nights_wanted=7), LATER) == begun
    assert store.shadows.find_active("cells") == begun
    assert store.shadows.find_active("other") is None


def test_a_collection_has_one_at_a_time(store: Store, database_url: str) -> None:
    first = store.shadows.begin(asked(), NOW)
    store.shadows.begin(asked(collection="other"), NOW)
    second = store.shadows.begin(asked("manual__2", challenger_version="3"), LATER)
    assert store.shadows.find_active("cells") == second
    assert read(database_url, "SELECT collection, run, ending FROM shadows ORDER BY collection, run") == [
        ("cells", "manual__1", "superseded"),
        ("cells", "manual__2", None),
        ("other", "manual__1", None),
    ]
    # The first one's run looks again, and learns of it.
    assert store.shadows.begin(asked(), LATER).ending == "superseded"
    assert store.shadows.end(first, "seen", "late", LATER).ending == "superseded"
    engine = create_engine(database_url)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("UPDATE shadows SET ended_at = NULL, ending = NULL, sentence = NULL"))
    engine.dispose()


def test_a_run_that_was_begun_anew_with_other_models_shadows_anew(store: Store) -> None:
    store.shadows.begin(asked(), NOW)
    store.shadows.publish_night(seen(), NOW)
    store.shadows.end(asked(), "champion_changed", "so", NOW)
    again = store.shadows.begin(asked(champion_version="5", challenger_version="6"), LATER)
    assert (again.champion_version, again.ending) == ("5", None)
    assert store.shadows.list_nights("cells", "manual__1") == []


def test_a_run_that_was_concluded_without_its_shadow_shadows_anew(store: Store) -> None:
    store.shadows.begin(asked(), NOW)
    store.shadows.publish_night(seen(), NOW)
    assert store.shadows.end(asked(), "given_up", "so", NOW).ending == "given_up"
    again = store.shadows.begin(asked(), LATER)
    assert (again.began_at, again.ending) == ("2026-03-18T06:00:00.000000Z", None)
    assert store.shadows.list_nights("cells", "manual__1") == []


def test_a_night_comes_back_as_it_was_and_only_once(store: Store, database_url: str) -> None:
    store.shadows.begin(asked(), NOW)
    assert store.shadows.publish_night(seen("2026-03-17"), NOW)
    assert store.shadows.publish_night(seen(), NOW)
    rows = read(database_url, "SELECT * FROM shadow_night_results ORDER BY night")
    assert not store.shadows.publish_night(seen(), LATER)
    assert read(database_url, "SELECT * FROM shadow_night_results ORDER BY night") == rows
    assert store.shadows.list_nights("cells", "manual__1") == [seen(), seen("2026-03-17")]
    assert store.shadows.publish_night(seen(decision=Verb.WATCH), LATER)
    assert [night.decision for night in store.shadows.list_nights("cells", "manual__1")] == ["watch", "ok"]


def test_what_has_ended_changes_no_more(store: Store) -> None:
    store.shadows.begin(asked(), NOW)
    store.shadows.publish_night(seen(), NOW)
    ended = store.shadows.end(asked(), "seen", "the shadow saw 1 of 1 night", NOW)
    assert (ended.ending, ended.sentence, ended.ended_at) == (
        "seen", "the shadow saw 1 of 1 night", "2026-03-15T06:00:00.000000Z",
    )  # fmt: skip
    assert not store.shadows.publish_night(seen("2026-03-17"), LATER)
    store.shadows.forget_night("cells", "2026-03-16", kept_version=None)
    assert store.shadows.list_nights("cells", "manual__1") == [seen()]
    assert store.shadows.end(asked(), "expired", "later", LATER) == ended
    assert store.shadows.begin(asked(), LATER) == ended
    with pytest.raises(ValueError, match="expected a shadow of unknown, got none"):
        store.shadows.end(asked("unknown"), "seen", "so", LATER)


@pytest.mark.parametrize(("kept", "left"), [("9f2c", 1), ("other", 0), (None, 0)])
def test_a_night_is_forgotten_when_its_images_are_others(store: Store, kept: str | None, left: int) -> None:
    store.shadows.begin(asked(), NOW)
    store.shadows.publish_night(seen(), NOW)
    store.shadows.publish_night(seen("2026-03-17", data_version="77"), NOW)
    store.shadows.forget_night("cells", "2026-03-16", kept_version=kept)
    store.shadows.forget_night("other", "2026-03-17", kept_version=None)
    nights = store.shadows.list_nights("cells", "manual__1")
    assert len([night for night in nights if night.night == "2026-03-16"]) == left
    assert "2026-03-17" in [night.night for night in nights]


def test_people_read_both_models_of_a_night(store: Store, database_url: str) -> None:
    store.shadows.begin(asked(), NOW)
    store.shadows.publish_night(seen(), NOW)
    assert read(
        database_url,
        "SELECT collection, night, champion_version, challenger_version, scored, champion_anomalous,"
        " challenger_anomalous, agreement, rank_correlation, champion_decision, decision, ending FROM shadow_nights",
    ) == [("cells", "2026-03-16", "1", "2", 100, 7, 3, 0.94, None, "retrain", "ok", None)]


def test_the_view_keeps_its_columns(store: Store, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        columns = list(connection.execute(text("SELECT * FROM shadow_nights")).keys())
    engine.dispose()
    assert columns == [
        "collection", "night", "champion_version", "challenger_version", "scored", "champion_anomalous",
        "challenger_anomalous", "both_anomalous", "only_champion", "only_challenger", "agreement", "rank_correlation",
        "champion_decision", "decision", "sentence", "model_name", "data_version", "run", "began_at", "ended_at",
        "ending", "report_url", "published_at",
    ]  # fmt: skip
