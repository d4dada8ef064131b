"""Metrics: who may read them, what they say of a night, and that one broken collection hides no other."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nightglass.engine.results import SUMMARY_NAME
from nightglass.store import ChampionChange
from tests.unit.night.test_report import make_assessment
from tests.unit.pages.test_predict import PREDICT

TOKEN = "a-token-of-forty-characters-0123456789ab"


@pytest.fixture
def night(home, store):
    """A published night of `cells` with its summary, and a champion."""
    folder = home / "nights/cells/2026-07-24"
    folder.mkdir(parents=True)
    (folder / SUMMARY_NAME).write_text(
        '{"scored": 1000, "workers": 2, "images_per_second": null, "stage_seconds": {"decode": 4.0, "embed": 6.0}}'
    )
    change = ChampionChange(collection="cells", event="promoted", version="8", by="olu", reason="first")
    now = datetime.now(UTC)
    with store:
        store.change_champion("nightglass-cells", lambda _: change, now - timedelta(days=3))
        store.publish_night(make_assessment([]), "report.html", now - timedelta(hours=2))
    return folder


def read(client, **headers):
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in samples, f"{key} twice"
            samples[key] = sample.value
    return samples


def of(samples, name, collection="cells", **labels):
    return samples.get((f"nightglass_{name}", *sorted({"collection": collection, **labels}.items())))


def test_a_night_in_numbers(ana, night):
    samples = read(ana)
    expected = {
        "night_images": 1007, "night_images_scored": 1000, "night_images_quarantined": 7, "night_images_anomalous": 35,
        "night_anomaly_rate": 0.035, "night_drift_psi": 0.41, "night_drift_separability": 0.2,
        "night_validation_passed": 1, "missing_nights": 0, "collection_readable": 1,
    }  # fmt: skip
    assert {name: of(samples, name) for name in expected} == expected
    assert of(samples, "night_anomaly_rate_ratio") == pytest.approx(0.035 / 0.012)
    assert of(samples, "night_images_per_second") == 200
    assert of(samples, "night_stage_seconds", stage="embed") == 6
    decisions = {verb: of(samples, "night_decision", decision=verb) for verb in ("ok", "watch", "retrain", "hold")}
    assert decisions == {"ok": 0, "watch": 0, "retrain": 1, "hold": 0}
    assert of(samples, "champion_info", model="nightglass-cells", version="8") == 1
    assert of(samples, "champion_age_seconds") == pytest.approx(3 * 86_400, abs=600)
    assert of(samples, "night_age_seconds") == pytest.approx(7200, abs=600)


def test_a_collection_without_a_night_has_no_numbers_but_is_there(ana, store):
    samples = read(ana)
    assert of(samples, "collection_readable", "lids") == 1
    assert of(samples, "night_images_scored", "lids") is None
    assert of(samples, "missing_nights", "lids") == 0


def test_one_sees_the_collections_that_one_may_read_and_the_token_all(ana, night, monkeypatch):
    assert of(read(ana, **{"X-Test-User": "olu"}), "collection_readable", "lids") is None
    assert of(read(ana, **{"X-Test-User": "olu"}), "collection_readable") == 1
    assert of(read(ana, **{"X-Test-User": "eve"}), "collection_readable") is None
    monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", TOKEN)
    assert of(read(ana, **{"X-Test-User": "eve", "Authorization": f"Bearer {TOKEN}"}), "collection_readable") == 1


def test_without_the_token_one_must_be_signed_in(client, night, monkeypatch):
    for token in (None, TOKEN):
        if token:
            monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", token)
        for brought in ("", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}", TOKEN, f"Bearer {TOKEN} "):
            assert client.get("/metrics", headers={"Authorization": brought}).status_code == 401, brought
        accepted = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code
        assert accepted == (200 if token else 401)
    assert client.get("/api/collections", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code in {401, 405}


def test_a_token_that_is_too_short_is_refused_and_never_shown(client, monkeypatch, caplog):
    monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", "hush-hush")
    with caplog.at_level(logging.ERROR, logger="nightglass"):
        answer = client.get("/metrics", headers={"Authorization": "Bearer hush-hush"})
    assert answer.status_code == 503
    assert "NIGHTGLASS_METRICS_TOKEN" in caplog.text
    assert "hush-hush" not in caplog.text + answer.text


@pytest.mark.parametrize("summary", ["{", "[]", '{"scored": "many"}', '{"stage_seconds": 7}'])
def test_a_collection_that_cannot_be_read_is_told_and_hides_no_other(ana, night, settings, summary, caplog):
    (night / SUMMARY_NAME).write_text(summary)
    (settings.collections_dir / "new.yaml").write_text("images: 7\n")
    with caplog.at_level(logging.ERROR, logger="nightglass"):
        samples = read(ana)
    assert of(samples, "collection_readable") == 0
    assert of(samples, "night_images_scored") is None
    assert of(samples, "collection_readable", "lids") == 1
    assert of(samples, "collection_readable", "new") is None  # ana may not read nightly_new
    assert "cells" in caplog.text


def test_a_broken_file_is_told_once(ana, settings):
    (settings.collections_dir / "lids.yaml").write_text("images: 7\n")
    assert of(read(ana), "collection_readable", "lids") == 0


def test_what_predict_answered_is_counted(ana, store):
    assert ana.post(PREDICT, content=b"x", headers={"Content-Type": "image/png"}).status_code == 409
    samples = read(ana)
    assert of(samples, "predict_requests_total", outcome="refused") == 1
    assert of(samples, "predict_requests_total", outcome="failed") is None
    assert of(samples, "predict_seconds_count") is None


def test_what_predict_answered_is_told_of_the_collections_that_one_may_read(ana, store, monkeypatch):
    for name in ("cells", "lids"):
        with pytest.raises(ValueError, match="broken"), ana.app.state.predictions.measure(name):
            raise ValueError("broken")
    monkeypatch.setenv("NIGHTGLASS_METRICS_TOKEN", TOKEN)
    for who, seen in (("ana", {"cells", "lids"}), ("olu", {"cells"}), ("eve", set())):
        samples = read(ana, **{"X-Test-User": who})
        failed = {name: of(samples, "predict_requests_total", name, outcome="failed") for name in ("cells", "lids")}
        assert failed == {name: 1 if name in seen else None for name in ("cells", "lids")}, who
    assert of(read(ana, Authorization=f"Bearer {TOKEN}"), "predict_requests_total", "lids", outcome="failed") == 1
