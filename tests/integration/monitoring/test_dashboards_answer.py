"""Every query of every panel, asked of a real Prometheus that asked the real pages about real nights."""

import json
import math
import time
from typing import Any

import httpx
import pytest

from nightglass.store import Store
from tests.conftest import draw_panel
from tests.integration.monitoring.conftest import NIGHTS, TOKEN
from tests.monitoring.prometheus import DEPLOY

pytestmark = pytest.mark.integration
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
PANELS = [
    pytest.param(panel, id=f"{file.stem}: {panel['title']}")
    for file in DASHBOARDS
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
]
LINE = {"collection": "line", "job": "nightglass"}


def tell_airflow(stats: Any, site: Any) -> None:
    """Send what the tasks of the nights send, and what Airflow itself does: names and tags as in its source."""
    from nightglass_airflow.metrics import count_night, count_shard

    for shard in site.shards:
        count_shard("line", shard)
    for night in site.published:
        count_night("line", night)
    task = {"dag_id": "nightly_line", "task_id": "score_shard"}
    for state in ("success", "success", "failed", "up_for_retry"):
        stats.incr("ti.finish", tags={**task, "state": state})
    for slots, count in (("open", 0), ("running", 1), ("queued", 2)):
        stats.gauge(f"pool.{slots}_slots", count, tags={"pool_name": "nightglass_scoring"})
    stats.gauge("ti.running", 1.0, tags={**task, "queue": "cpu"})
    stats.gauge("ti.queued", 2.0, tags={**task, "queue": "cpu"})
    stats.timing("task.scheduled_duration", 1500.0, tags={**task, "queue": "cpu"})
    stats.incr("scheduler_heartbeat", 1, 1)


@pytest.fixture(scope="module")
def asked(prometheus, pages, stats):
    """Prometheus, after it saw the counters rise and `predict` answer."""
    prometheus.wait_for('up{job="airflow"} == 1')  # a counter's rise before the first look is not seen
    image = pages.home / "one.png"
    draw_panel(7).save(image)
    for _ in range(3):
        tell_airflow(stats, pages)
        answer = httpx.post(
            f"{pages.url}/nightglass/api/collections/line/predict",
            content=image.read_bytes(),
            headers={"X-Test-User": "ana", "Content-Type": "image/png", "X-Nightglass": "1"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        time.sleep(2)
    prometheus.wait_for('nightglass_predict_seconds_count{collection="line"} == 3')
    prometheus.wait_for('airflow_ti_finish{state="failed"} == 3')
    prometheus.wait_for('ALERTS{alertstate="firing",alertname="NightglassQuarantineHigh"}')
    return prometheus


def ask(prometheus, expression):
    return prometheus.query(expression.replace("$collection", "(line|other)"))


@pytest.mark.parametrize("panel", PANELS)
def test_every_query_of_a_panel_gives_rows(asked, panel):
    for target in panel["targets"]:
        rows = ask(asked, target["expr"])
        assert rows, target["expr"]
        assert all(math.isfinite(value) for value in rows.values()), (target["expr"], rows)
        # What the legend names is there: else Grafana shows the bare name.
        named = {
            name
            for name in ("collection", "stage", "statistic", "decision")
            if f"{{{{{name}}}}}" in target["legendFormat"]
        }
        if "ALERTS" not in target["expr"]:
            assert all(named <= dict(labels).keys() for labels in rows), (target["legendFormat"], rows)


@pytest.fixture(scope="module")
def night(site):
    with Store.connect(f"sqlite:///{site.home / 'nightglass.db'}", DEPLOY.parent / "sql") as store:
        [night] = store.list_nights("line", 1)
    return night


def value_of(rows, **labels):
    [found] = [value for key, value in rows.items() if labels.items() <= dict(key).items()]
    return found


def test_the_last_night_is_shown_as_the_database_has_it(asked, night):
    assert night.night == NIGHTS[-1]
    assert (night.images, night.scored, night.quarantined) == (42, 40, 2)
    expected = {
        "night_images": 42, "night_images_scored": 40, "night_images_quarantined": 2,
        "night_images_anomalous": night.anomalous, "night_anomaly_rate": night.anomaly_rate,
        "night_anomaly_rate_ratio": night.anomaly_rate / 0.02, "night_baseline_anomaly_rate": 0.02,
        "night_drift_separability": night.separability, "collection_readable": 1, "open_runs": 2,
    }  # fmt: skip
    for name, value in expected.items():
        assert asked.query(f"nightglass_{name}") == {tuple(sorted(LINE.items())): pytest.approx(value)}, name
    assert night.anomalous >= 4


def test_the_last_night_is_late_and_every_later_one_is_missing(asked, night):
    behind = value_of(asked.query("nightglass_nights_behind"), collection="line")
    assert behind == value_of(asked.query("nightglass_missing_nights"), collection="line") > 20
    since = value_of(ask(asked, 'time() - nightglass_last_success_timestamp_seconds{collection=~"$collection"}'))
    assert 0 < since < 3600
    assert value_of(asked.query("nightglass_night_age_seconds")) == pytest.approx(since, abs=60)


def test_drift_is_shown_by_statistic_with_what_was_usual(asked):
    by_statistic = asked.query("nightglass_night_statistic_psi")
    names = {dict(labels)["statistic"] for labels in by_statistic}
    assert {"brightness", "contrast", "sharpness", "image_score"} <= names
    assert value_of(asked.query("nightglass_night_drift_psi")) == pytest.approx(max(by_statistic.values()))
    assert value_of(asked.query("nightglass_night_drift_baseline_psi")) >= 0


def test_models_are_told_with_version_and_age(asked):
    for info in ("champion", "night_model"):
        rows = asked.query(f"nightglass_{info}_info")
        assert rows == {tuple(sorted({**LINE, "model": "nightglass-line", "version": "1"}.items())): 1}, info
    assert 0 < value_of(asked.query("nightglass_champion_age_seconds")) < 3600


def test_stage_and_image_times_are_those_of_the_summary(asked, site):
    summary = json.loads((site.home / "nights/line" / NIGHTS[-1] / "summary.json").read_text())
    shown = asked.query("nightglass_night_stage_seconds")
    assert {dict(labels)["stage"]: value for labels, value in shown.items()} == pytest.approx(summary["stage_seconds"])
    image = asked.query("nightglass_night_image_seconds")
    assert value_of(image, quantile="0.5") == pytest.approx(summary["image_seconds"]["p50"])
    assert value_of(image, quantile="0.95") == pytest.approx(summary["image_seconds"]["p95"])


def test_what_the_tasks_counted_arrives_under_its_names(asked, site):
    images = sum(int(shard["images"]) for shard in site.shards)
    assert images == 122
    assert value_of(asked.query("nightglass_shard_images_total")) == 3 * images
    assert value_of(asked.query("nightglass_shard_duration_seconds_count")) == 3 * len(site.shards)
    seconds = sum(float(shard["seconds"]) for shard in site.shards)
    assert value_of(asked.query("nightglass_shard_duration_seconds_sum")) == pytest.approx(3 * seconds, rel=1e-3)
    stages = {dict(labels)["stage"] for labels in asked.query("nightglass_shard_stage_seconds_sum")}
    assert stages == {"wait", "decode", "embed", "search"}
    scored = asked.query('nightglass_images_total{outcome="scored"}')
    assert value_of(scored) == 3 * sum(int(night["scored"]) for night in site.published)
    assert sum(asked.query("nightglass_nights_total").values()) == 9


def test_a_rate_is_right_and_not_only_there(asked, site):
    [rate] = ask(asked, "sum by (collection) (increase(nightglass_shard_images_total[1h]))").values()
    # Two of three increments are seen, and Prometheus extends what it saw to the ends of the hour a little.
    assert 2 * 122 <= rate < 3 * 122 + 1


def test_services_and_disks_are_told_to_the_token_alone(asked, pages):
    up = asked.query("nightglass_service_up")
    assert {dict(labels)["service"]: value for labels, value in up.items()} == {"results": 1, "nights": 1, "mlflow": 1}
    free = value_of(asked.query("nightglass_disk_free_bytes / nightglass_disk_size_bytes"), place="home")
    assert 0 < free < 1
    page = f"{pages.url}/nightglass/metrics"
    assert "nightglass_disk" in httpx.get(page, headers={"Authorization": f"Bearer {TOKEN}"}).text
    signed_in = httpx.get(page, headers={"X-Test-User": "ana"})
    assert "nightglass_night_images" in signed_in.text
    assert "nightglass_disk" not in signed_in.text


def test_both_jobs_of_the_configuration_answer(asked):
    assert {job: health for job, health, _ in asked.targets()} == {"nightglass": "up", "airflow": "up"}


def test_no_series_names_an_image(asked):
    series = asked.client.get("/api/v1/series", params={"match[]": '{__name__=~"nightglass.+|airflow.+"}'}).json()[
        "data"
    ]
    assert series
    assert not [labels for labels in series if any(".png" in value for value in labels.values())]
