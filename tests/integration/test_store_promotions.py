from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from nightglass.errors import InputError
from nightglass.records import Assessment, ModelRef, Verb
from nightglass.store import ChampionChange, PromotionEvent, Store

pytestmark = pytest.mark.integration

MakeAssessment = Callable[..., Assessment]
NOW = datetime(2026, 3, 15, 2, 30, tzinfo=UTC)


def version(number: int) -> ModelRef:
    return ModelRef(name="nightglass-cells", version=str(number))


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def publish(store: Store, assessment: Assessment, now: datetime = NOW) -> bool:
    return store.publish_night(assessment, f"file:///reports/{assessment.night}/report.html", now)


def promote(
    store: Store,
    version: str,
    at: datetime,
    *,
    collection: str = "cells",
    model_name: str = "nightglass-cells",
    **changes: Any,
) -> list[PromotionEvent]:
    fields: dict[str, Any] = {
        "collection": collection,
        "event": "promoted",
        "version": version,
        "by": "ana",
        "reason": "all gates met",
        "run": f"retrain-{version}",
    }
    return store.change_champion(model_name, lambda _: ChampionChange(**(fields | changes)), at)


def test_model_history_says_what_was_production_until_when(store: Store, database_url: str) -> None:
    promote(store, "1", NOW)
    promote(store, "2", (NOW + timedelta(days=1)).astimezone(timezone(timedelta(hours=5))))
    promote(store, "1", NOW + timedelta(days=2), event="rolled_back", reason='it\'s "worse"', run=None)
    promote(store, "7", NOW, collection="other", model_name="nightglass-other")
    history = store.model_history("cells")
    assert [(e.event, e.version, e.at[:10], e.until and e.until[:10]) for e in history] == [
        ("rolled_back", "1", "2026-03-17", None),
        ("promoted", "2", "2026-03-16", "2026-03-17"),
        ("promoted", "1", "2026-03-15", "2026-03-16"),
    ]
    assert history[0].reason == 'it\'s "worse"'
    on_the_16th = 'SELECT version FROM model_history WHERE "at" <= :day AND ("until" > :day OR "until" IS NULL)'
    day = "'2026-03-16T12:00:00Z'"
    assert read(database_url, on_the_16th.replace(":day", day) + " AND collection = 'cells'") == [("2",)]


def test_an_entry_names_the_version_that_it_replaced(store: Store) -> None:
    promote(store, "1", NOW)
    promote(store, "9", NOW, collection="other", model_name="nightglass-other")
    history = promote(store, "2", NOW + timedelta(days=1))
    assert [(e.entry, e.version, e.previous_version) for e in history] == [(3, "2", "1"), (1, "1", None)]
    assert store.promotions_of_model("nightglass-cells") == history
    assert store.promotions_of_model("nightglass-none") == []


def test_whoever_decides_sees_the_log_as_it_is(store: Store) -> None:
    before = promote(store, "1", NOW)
    seen: list[list[PromotionEvent]] = []
    after = store.change_champion("nightglass-cells", seen.append, NOW)
    assert (seen, after) == ([before], before)


def test_times_are_in_the_order_of_the_entries(store: Store) -> None:
    promote(store, "1", NOW)
    history = promote(store, "2", NOW - timedelta(hours=1))  # another machine, whose clock is late
    assert [e.at for e in history] == ["2026-03-15T02:30:00.000000Z"] * 2


@pytest.mark.parametrize("missing", ["by", "reason"])
def test_a_promotion_needs_who_and_why(store: Store, missing: str) -> None:
    with pytest.raises(InputError, match="expected who changes the champion and why"):
        promote(store, "1", NOW, **{missing: " "})
    assert store.promotions_of_model("nightglass-cells") == []


def test_nights_since_promotion(store: Store, make_assessment: MakeAssessment) -> None:
    assert store.nights_since_promotion("cells", version(3), "2026-03-20") is None
    promote(store, "2", NOW - timedelta(days=9))
    publish(store, make_assessment("2026-03-10", model_version="2"), NOW - timedelta(days=5))
    assert store.nights_since_promotion("cells", version(2), "2026-03-20") is None
    publish(store, make_assessment("2026-03-11"), NOW - timedelta(hours=1))
    promote(store, "3", NOW)
    assert store.nights_since_promotion("cells", version(3), "2026-03-20") == 0
    for day in (14, 15, 16):
        publish(store, make_assessment(f"2026-03-{day}", verb=Verb.HOLD), NOW + timedelta(days=day - 13))
    assert store.nights_since_promotion("cells", version(3), "2026-03-16") == 2
    promote(store, "2", NOW + timedelta(days=9), event="rolled_back")
    assert store.nights_since_promotion("cells", version(2), "2026-03-30") is None
