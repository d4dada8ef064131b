from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from nightglass.records import Assessment, DriftReport, ModelRef, NeighborImage, TopAnomaly, Verb
from nightglass.store import Store

pytestmark = pytest.mark.integration

MakeAssessment = Callable[..., Assessment]
NOW = datetime(2026, 3, 15, 2, 30, tzinfo=UTC)
TABLES = ("night_results", "decision_reasons", "statistic_drift", "night_anomalies", "quarantine_counts")
HOSTILE = [
    "'); DROP TABLE night_results; --.jpg",
    'a "quoted" :bound %s %(x)s {y}.jpg',
    "läufer/😀/\u202egpj.exe.jpg",
    "back\\slash\tand\nline.jpg",
]


def version(number: int) -> ModelRef:
    return ModelRef(name="nightglass-cells", version=str(number))


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def read_everything(database_url: str) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(read(database_url, f"SELECT * FROM {table}"), key=repr) for table in TABLES}


def publish(store: Store, assessment: Assessment, now: datetime = NOW) -> bool:
    return store.publish_night(assessment, f"file:///reports/{assessment.night}/report.html", now)


# Publishing


def test_publishing_the_same_night_twice_changes_no_row(
    store: Store, database_url: str, make_assessment: MakeAssessment
) -> None:
    assert publish(store, make_assessment())
    before = read_everything(database_url)
    assert all(before.values())
    assert not publish(store, make_assessment(), NOW + timedelta(days=3))
    assert read_everything(database_url) == before


def test_a_changed_night_replaces_all_its_rows_and_no_other(
    store: Store, database_url: str, make_assessment: MakeAssessment
) -> None:
    publish(store, make_assessment("2026-03-13"))
    other = {table: len(rows) for table, rows in read_everything(database_url).items()}
    publish(store, make_assessment(top_k=3))
    later = NOW + timedelta(hours=1)
    changed = make_assessment(top_k=1, anomalous=5, drift=DriftReport(statistics=[], embedding=None))
    assert publish(store, changed, later)
    now = {table: len(rows) for table, rows in read_everything(database_url).items()}
    assert now["night_results"] == 2
    assert now["night_anomalies"] == other["night_anomalies"] + 1
    assert now["statistic_drift"] == other["statistic_drift"]
    night = store.list_nights("cells")[0]
    assert (night.night, night.anomalous, night.separability) == ("2026-03-14", 5, None)
    assert night.published_at == "2026-03-15T03:30:00.000000Z"


def test_a_night_of_which_a_row_is_refused_keeps_what_it_had(
    store: Store, database_url: str, make_assessment: MakeAssessment
) -> None:
    publish(store, make_assessment())
    before = read_everything(database_url)
    good = make_assessment(anomalous=9).top_anomalies
    with pytest.raises(Exception, match=r"(?i)unique"):
        publish(store, make_assessment(anomalous=9, top_anomalies=[good[0], good[0]]))
    assert read_everything(database_url) == before


def test_writers_at_once_publish_a_night_once_and_lose_none(
    store: Store, database_url: str, sql_dir: Path, make_assessment: MakeAssessment
) -> None:
    nights = [f"2026-03-{day:02d}" for day in range(1, 11)]

    def publish_all() -> list[bool]:
        with Store.connect(database_url, sql_dir) as own:
            return [publish(own, make_assessment(night)) for night in nights]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [call.result() for call in [pool.submit(publish_all) for _ in range(4)]]
    assert [sum(by_night) for by_night in zip(*outcomes, strict=True)] == [1] * len(nights)
    assert sorted(night.night for night in store.list_nights("cells")) == nights


def test_hostile_names_come_back_as_they_were(store: Store, database_url: str, make_assessment: MakeAssessment) -> None:
    pattern = make_assessment().top_anomalies[0]
    anomalies = [
        TopAnomaly.model_validate(
            pattern.model_dump() | {"rank": rank, "path": path, "neighbors": [NeighborImage(path=path, distance=0.1)]}
        )
        for rank, path in enumerate(HOSTILE, start=1)
    ]
    night = make_assessment(collection=HOSTILE[0], images_url=HOSTILE[1], top_anomalies=anomalies)
    publish(store, night)
    assert not publish(store, night)
    rows = read(database_url, "SELECT path, nearest_path FROM top_anomalies ORDER BY rank")
    assert rows == [(path, path) for path in HOSTILE]
    assert store.list_nights(HOSTILE[0])[0].images_url == HOSTILE[1]
    assert store.list_nights("' OR '1'='1") == []


def test_nul_and_nan_are_stored_on_both_databases(
    store: Store, database_url: str, make_assessment: MakeAssessment
) -> None:
    night = make_assessment(images_url="s3://a\0b", image_threshold=float("nan"))
    assert publish(store, night)
    assert not publish(store, night)
    assert read(database_url, "SELECT images_url, image_threshold FROM nights") == [("s3://a\\x00b", None)]


def test_nothing_scored_has_no_rate(store: Store, make_assessment: MakeAssessment) -> None:
    publish(store, make_assessment(scored=0, anomalous=0, verb=Verb.HOLD, validation=None))
    night = store.list_nights("cells")[0]
    assert (night.anomaly_rate, night.validation_passed, night.decision) == (None, None, Verb.HOLD)


# Reading


def test_quiet_first_and_recent_nights(store: Store, make_assessment: MakeAssessment) -> None:
    verbs = [Verb.OK, Verb.WATCH, Verb.RETRAIN, Verb.HOLD, Verb.OK, Verb.OK]
    for day, verb in enumerate(verbs, start=1):
        publish(store, make_assessment(f"2026-03-{day:02d}", verb=verb, psi=day / 100))
    publish(store, make_assessment("2026-02-28", model_version="2"))
    publish(store, make_assessment("2026-02-27", collection="other"))

    quiet = store.quiet_nights("cells", version(3), "2026-03-06", 10)
    assert [night.night for night in quiet] == ["2026-03-05", "2026-03-02", "2026-03-01"]
    assert quiet[0].statistic_psi == {"brightness": 0.05, "image_score": 0.025}
    assert (quiet[0].scored, quiet[0].anomalous, quiet[0].separability) == (200, 4, 0.12)
    assert [night.night for night in store.quiet_nights("cells", version(3), "2026-03-06", 2)] == [
        "2026-03-05",
        "2026-03-02",
    ]
    first = store.first_nights("cells", version(3), 2, "2026-03-06")
    assert [night.night for night in first] == ["2026-03-01", "2026-03-02"]
    recent = store.recent_nights("cells", "2026-03-04", 3)
    assert [night.decision for night in recent] == [Verb.WATCH, Verb.RETRAIN, Verb.HOLD]
    assert [night.collection for night in store.list_nights(limit=2)] == ["cells", "cells"]
    assert len(store.list_nights()) == 8


def test_a_night_without_drift_still_has_a_summary(store: Store, make_assessment: MakeAssessment) -> None:
    publish(store, make_assessment(drift=DriftReport(statistics=[], embedding=None)))
    (night,) = store.quiet_nights("cells", version(3), "2026-12-31", 5)
    assert (night.statistic_psi, night.separability) == ({}, None)


def test_usual_count_is_the_median_of_judged_nights(store: Store, make_assessment: MakeAssessment) -> None:
    assert store.usual_count("cells", "2026-03-10", 14) is None
    for day, scored in enumerate([1000, 100, 200, 301], start=1):
        publish(store, make_assessment(f"2026-03-{day:02d}", scored=scored))
    publish(store, make_assessment("2026-03-05", scored=9, verb=Verb.HOLD))
    assert store.usual_count("cells", "2026-03-10", 3) == 202.0
    assert store.usual_count("cells", "2026-03-04", 2) == 152.0


# Views


def test_the_views_have_the_columns_of_the_contract(store: Store, database_url: str) -> None:
    engine = create_engine(database_url)
    found = {
        name: [column["name"] for column in inspect(engine).get_columns(name)]
        for name in inspect(engine).get_view_names()
    }
    engine.dispose()
    assert {name: " ".join(columns) for name, columns in found.items()} == {
        "nights": "collection night images ignored scored quarantined anomalous anomaly_rate decision sentence "
        "model_name model_version data_version image_threshold false_alarm_rate separability "
        "validation_passed validation_warnings images_url report_url published_at deleted",
        "top_anomalies": "collection night rank path image_score is_anomalous nearest_path sha256 image_file "
        "anomaly_map_file image_threshold model_name model_version images_url report_url",
        "decisions": "collection night decision sentence reasons scored anomalous anomaly_rate baseline_source "
        "baseline_nights baseline_scored baseline_anomalous baseline_anomaly_rate anomaly_rate_ratio "
        "anomaly_rate_p_value frozen_scored frozen_anomalous max_psi separability separability_p_value "
        "baseline_separability validation_passed validation_warnings model_name model_version data_version "
        "published_at",
        "model_history": "collection model_name event version previous_version at until by reason run entry",
        "verdicts": "collection night scope path slice verdict at by note source sha256 entry",
        "retrainings": "collection run outcome sentence model_name champion_version challenger_version started_at "
        "finished_at requested_by reason failed_gates gates data_version folder_url",
        "gates": "collection run position name title champion challenger low high limit_value passed why outcome "
        "model_name champion_version challenger_version finished_at",
        "shadow_nights": "collection night champion_version challenger_version scored champion_anomalous "
        "challenger_anomalous both_anomalous only_champion only_challenger agreement rank_correlation "
        "champion_decision decision sentence model_name data_version run began_at ended_at ending report_url "
        "published_at",
        "rescored_nights": "collection night champion_version model_version scored champion_anomalous anomalous "
        "champion_anomaly_rate anomaly_rate champion_decision decision sentence agreement rank_correlation top_k "
        "top_k_overlap both_anomalous only_champion only_rescored left_out model_name champion_name data_version "
        "compute_seconds folder_url published_at",
        "alerts": "collection night kind title sentence happened told first_at last_at told_at over_at audience "
        "alert_key",
        "deletions": "collection asked_at by reason is_original_deleted finished_at nights models removed request",
        "costs": "collection night images compute_seconds price_per_hour currency cost "
        "compute_seconds_per_1000_images cost_per_1000_images",
    }


def test_a_decision_is_readable_with_its_numbers(
    store: Store, database_url: str, make_assessment: MakeAssessment
) -> None:
    publish(store, make_assessment(verb=Verb.RETRAIN, anomalous=20, psi=0.3))
    rows = read(
        database_url,
        "SELECT decision, reasons, anomaly_rate, baseline_anomaly_rate, anomaly_rate_ratio, "
        "anomaly_rate_p_value, max_psi FROM decisions",
    )
    reasons = "Anomaly rate 10.0%, usually 2.0 %\nBrightness as usual"
    assert rows == [("retrain", reasons, 0.1, 0.02, 5.0, 0.5, 0.3)]


def test_nights_of_another_model_are_no_baseline(store: Store, make_assessment: MakeAssessment) -> None:
    publish(store, make_assessment("2026-03-02"))
    publish(store, make_assessment("2026-03-03", model_name="nightglass-other"))
    assert [night.night for night in store.quiet_nights("cells", version(3), "2026-03-09", 9)] == ["2026-03-02"]
    assert [night.night for night in store.first_nights("cells", version(3), 9, "2026-03-09")] == ["2026-03-02"]
