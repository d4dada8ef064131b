"""Nights that another version scored again, and what nights cost, on both databases."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from nightglass.backfill.records import RescoredNight
from nightglass.night.cost import NightCost
from nightglass.records import ModelRef, Verb
from nightglass.store import Store, result_sha256
from tests.integration.conftest import MakeAssessment

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 20, 6, tzinfo=UTC)
LATER = datetime(2026, 3, 21, 6, tzinfo=UTC)
NIGHT = "2026-03-14"
MODEL = ModelRef(name="nightglass-cells", version="4")


def rescored(night: str = NIGHT, **changes: Any) -> RescoredNight:
    fields: dict[str, Any] = {
        "collection": "cells",
        "night": night,
        "model_name": MODEL.name,
        "model_version": MODEL.version,
        "champion_name": MODEL.name,
        "champion_version": "3",
        "data_version": "d" * 64,
        "scored": 200,
        "both_anomalous": 3,
        "only_champion": 1,
        "only_rescored": 7,
        "left_out": 0,
        "agreement": 0.96,
        "rank_correlation": 0.81,
        "top_k": 3,
        "top_k_overlap": 2,
        "champion_decision": Verb.OK,
        "decision": Verb.RETRAIN,
        "sentence": "Retrain: 'x'; DROP TABLE nights; --",
        "compute_seconds": 12.5,
        "folder_url": "s3://nights/cells/2026-03-14/rescored/4",
    }
    return RescoredNight.model_validate(fields | changes)


def read(database_url: str, sql: str) -> list[dict[str, Any]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(text(sql)).mappings()]
    engine.dispose()
    return rows


@pytest.fixture
def published(store: Store, make_assessment: MakeAssessment) -> dict[str, str]:
    """Three published nights; by night the sha256 of their assessments."""
    found = {}
    for night in ("2026-03-13", NIGHT, "2026-03-15"):
        assessment = make_assessment(night)
        assert store.publish_night(assessment, "report.html", NOW)
        found[night] = result_sha256(assessment)
    return found


def test_a_row_stands_beside_the_night_and_changes_nothing_of_it(
    store: Store, database_url: str, published: dict[str, str]
) -> None:
    before = read(database_url, "SELECT * FROM nights ORDER BY night"), read(database_url, "SELECT * FROM decisions")
    assert store.rescored.publish(rescored(), published[NIGHT], NOW) is True
    assert store.rescored.publish(rescored(), published[NIGHT], LATER) is False

    (row,) = read(database_url, "SELECT * FROM rescored_nights")
    assert (row["champion_version"], row["model_version"]) == ("3", "4")
    assert (row["champion_anomalous"], row["anomalous"]) == (4, 10)
    assert (row["champion_anomaly_rate"], row["anomaly_rate"]) == (pytest.approx(0.02), pytest.approx(0.05))
    assert (row["champion_decision"], row["decision"]) == ("ok", "retrain")
    assert (row["rank_correlation"], row["top_k"], row["top_k_overlap"]) == (0.81, 3, 2)
    assert row["published_at"].startswith("2026-03-20")
    assert (
        read(database_url, "SELECT * FROM nights ORDER BY night"),
        read(database_url, "SELECT * FROM decisions"),
    ) == before
    assert store.rescored.of_night("cells", NIGHT) == [rescored()]

    assert store.rescored.publish(rescored(decision=Verb.WATCH), published[NIGHT], LATER) is True
    (row,) = read(database_url, "SELECT * FROM rescored_nights")
    assert (row["decision"], row["published_at"][:10]) == ("watch", "2026-03-21")


def test_a_night_without_a_common_image_has_no_rate(store: Store, database_url: str, published: dict[str, str]) -> None:
    none = {"scored": 0, "both_anomalous": 0, "only_champion": 0, "only_rescored": 0}
    store.rescored.publish(rescored(**none, agreement=None, rank_correlation=None), published[NIGHT], NOW)
    (row,) = read(database_url, "SELECT * FROM rescored_nights")
    assert (row["champion_anomaly_rate"], row["anomaly_rate"], row["agreement"]) == (None, None, None)
    (night,) = store.rescored.of_night("cells", NIGHT)
    assert (night.champion_rate, night.rate) == (None, None)


def test_a_night_that_is_published_anew_loses_what_was_compared_with_it(
    store: Store, database_url: str, published: dict[str, str], make_assessment: MakeAssessment
) -> None:
    store.rescored.publish(rescored(), published[NIGHT], NOW)
    store.rescored.publish(rescored("2026-03-13"), published["2026-03-13"], NOW)
    store.publish_night(make_assessment(NIGHT), "report.html", LATER)  # the same again
    assert len(read(database_url, "SELECT * FROM rescored_nights")) == 2

    store.publish_night(make_assessment(NIGHT, anomalous=9), "report.html", LATER)
    assert [row["night"] for row in read(database_url, "SELECT * FROM rescored_nights")] == ["2026-03-13"]
    # What was compared with the older one comes too late.
    assert store.rescored.publish(rescored(), published[NIGHT], LATER) is None
    assert store.rescored.publish(rescored("2026-03-01"), published[NIGHT], LATER) is None
    assert [row["night"] for row in read(database_url, "SELECT * FROM rescored_nights")] == ["2026-03-13"]


def test_versions_are_kept_apart_and_counted(store: Store, published: dict[str, str]) -> None:
    for night, sha256 in published.items():
        store.rescored.publish(rescored(night, decision=Verb.OK if night == NIGHT else Verb.RETRAIN), sha256, NOW)
    store.rescored.publish(rescored(model_version="10", decision=Verb.OK), published[NIGHT], NOW)
    store.rescored.publish(rescored(model_name="another"), published[NIGHT], NOW)

    assert [(each.model_version, each.nights, each.decided_otherwise, each.first_night, each.last_night)
            for each in store.rescored.versions("cells", MODEL.name)] == [
        ("10", 1, 0, NIGHT, NIGHT), ("4", 3, 2, "2026-03-13", "2026-03-15"),
    ]  # fmt: skip
    assert store.rescored.versions("others", MODEL.name) == []
    newest = store.rescored.by_version("cells", MODEL, 2, before=None)
    assert [night.night for night in newest] == ["2026-03-15", NIGHT]
    earlier = store.rescored.by_version("cells", MODEL, 5, before=NIGHT)
    assert [night.night for night in earlier] == ["2026-03-13"]
    assert [(night.model_name, night.model_version) for night in store.rescored.of_night("cells", NIGHT)] == [
        (MODEL.name, "10"), ("another", "4"), (MODEL.name, "4"),
    ]  # fmt: skip


def test_the_published_nights_of_a_range_come_oldest_first(store: Store, published: dict[str, str]) -> None:
    found = store.rescored.published("cells", "2026-03-14", "2026-12-31")
    assert [(night.night, night.result_sha256) for night in found] == list(published.items())[1:]
    assert store.rescored.published("cells", "2026-03-16", "2026-12-31") == []
    assert store.rescored.published("others", "2026-03-01", "2026-12-31") == []


def test_costs_follow_from_time_and_price(
    store: Store, database_url: str, published: dict[str, str], make_assessment: MakeAssessment
) -> None:
    cost = NightCost(images=202, compute_seconds=90.9, price_per_hour=3.6, currency="EUR")
    assert store.costs.find("cells", NIGHT) is None
    assert store.costs.publish("cells", NIGHT, cost) is True
    assert store.costs.publish("cells", NIGHT, cost) is False
    assert store.costs.find("cells", NIGHT) == cost
    (row,) = read(database_url, "SELECT * FROM costs")
    assert (row["compute_seconds"], row["cost"]) == (90.9, pytest.approx(0.0909))
    assert row["cost_per_1000_images"] == pytest.approx(0.45) == cost.cost_per_1000_images
    assert row["compute_seconds_per_1000_images"] == pytest.approx(450) == cost.compute_seconds_per_1000_images

    # Scored again with the same result, it keeps what it cost first; with another one, it costs anew.
    free = cost.model_copy(update={"price_per_hour": None})
    assert store.costs.publish("cells", NIGHT, free) is False
    store.publish_night(make_assessment(NIGHT, anomalous=9), "report.html", LATER)
    assert store.costs.find("cells", NIGHT) is None
    assert store.costs.publish("cells", NIGHT, free) is True
    (row,) = read(database_url, "SELECT * FROM costs")
    assert (row["compute_seconds"], row["cost"], row["cost_per_1000_images"]) == (90.9, None, None)
    assert (free.cost, free.cost_per_1000_images) == (None, None)
