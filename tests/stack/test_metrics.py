"""Metrics of a night on the whole stack: Airflow's own arrive under the names that rules and dashboards ask for."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from deploy.native import Stack, running_stack

from tests.monitoring.exporter import Exporter, running_exporter
from tests.monitoring.prometheus import DEPLOY, Prometheus, find_tool, running_prometheus
from tests.stack.site import COLLECTION, SHARD_SIZE, TASKS, Site

NIGHT = "2026-04-07"
SHARDS = 4
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))
PANELS = [
    (f"{file.stem}: {panel['title']}", target["expr"])
    for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
    for target in panel["targets"]
]
#: What tells of something that this night had none of.
QUIET = {
    "airflow_task_instances_without_heartbeats_killed",
    "nightglass_predict_requests",
    "nightglass_predict_seconds",
}
SUFFIX = re.compile(r"_(bucket|total|count|sum)$")


@dataclass(frozen=True)
class Watched:
    """A night that two servers watched, and how long it took."""

    exporter: Exporter
    prometheus: Prometheus
    seconds: float

    def names(self) -> set[str]:
        """Every name that Prometheus knows."""
        found = self.prometheus.client.get("/api/v1/label/__name__/values").json()["data"]
        return {SUFFIX.sub("", name) for name in found}


@contextmanager
def workers_stopped(stack: Stack) -> Iterator[None]:
    """Hold the workers, so that a task is queued for longer than Airflow looks away."""
    workers = [stack.processes[name] for name in ("worker-1", "worker-2")]
    try:
        for worker in workers:
            worker.kill(signal.SIGSTOP)
        yield
    finally:
        for worker in workers:
            worker.kill(signal.SIGCONT)


@pytest.fixture(scope="module")
def watched(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    stack = site.stack
    port = int(stack.environment["AIRFLOW__METRICS__STATSD_PORT"])
    site.draw(NIGHT, range(700, 700 + SHARDS * SHARD_SIZE))
    with running_exporter(DEPLOY / "statsd" / "mapping.yaml", port) as exporter:
        targets = {
            "api-server:8080": stack.url.removeprefix("http://"),
            "statsd-exporter:9102": f"127.0.0.1:{exporter.http_port}",
        }
        folder = tmp_path_factory.mktemp("prometheus")
        with running_prometheus(folder, targets, stack.secrets["METRICS_TOKEN"]) as prometheus:
            prometheus.wait_for('up{job="nightglass"} == 1')
            began = time.monotonic()
            with workers_stopped(stack):
                run_id = site.trigger(NIGHT)
                prometheus.wait_for(f'airflow_ti_queued{{dag_id="nightly_{COLLECTION}"}} > 0')
            assert site.wait(run_id) == ("success", dict.fromkeys(TASKS, "success"))
            seconds = time.monotonic() - began
            prometheus.wait_for(f'nightglass_night_images{{collection="{COLLECTION}"}} == {SHARDS * SHARD_SIZE}')
            prometheus.wait_for("airflow_dagrun_duration_success_count")
            yield Watched(exporter, prometheus, seconds)


def test_a_night_goes_on_while_statsd_is_away(site: Site) -> None:
    """It comes first: nobody listens yet."""
    night, environment = "2026-04-06", site.stack.environment
    assert environment["AIRFLOW__METRICS__STATSD_ON"] == "True"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", int(environment["AIRFLOW__METRICS__STATSD_PORT"])))
    site.draw(night, range(900, 900 + SHARD_SIZE))
    assert site.run_night(night) == ("success", dict.fromkeys(TASKS, "success"))


def asked_names(expressions: list[str]) -> set[str]:
    return {SUFFIX.sub("", name) for text in expressions for name in re.findall(r"\b(?:airflow|nightglass)_\w+", text)}


def test_every_metric_that_is_asked_for_arrived(watched: Watched) -> None:
    rules = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    asked = asked_names([*rules, *(expression for _, expression in PANELS)])
    assert len(asked) > 30
    assert asked - watched.names() == QUIET


def test_airflow_sends_what_its_tags_promise(watched: Watched) -> None:
    query = watched.prometheus.query
    finished = {
        dict(labels)["task_id"]: value
        for labels, value in query(f'airflow_ti_finish{{dag_id="nightly_{COLLECTION}",state="success"}}').items()
    }
    assert finished["score_shard"] == SHARDS
    assert finished["publish_night"] == 1
    pools = {dict(labels)["pool_name"] for labels in query("airflow_pool_open_slots")}
    assert pools >= {"default_pool", "nightglass_scoring"}
    assert {dict(labels)["queue"] for labels in query("airflow_ti_running")} == {"cpu"}
    waited = query('airflow_task_scheduled_duration{quantile="0.95"}')
    assert {dict(labels)["task_id"] for labels in waited} >= TASKS
    assert all(0 <= value < watched.seconds for value in waited.values())  # seconds, not milliseconds


def test_the_tasks_count_what_they_did(watched: Watched, site: Site) -> None:
    query, labels = watched.prometheus.query, f'collection="{COLLECTION}"'
    [images] = query(f"nightglass_shard_images_total{{{labels}}}").values()
    assert images == SHARDS * SHARD_SIZE
    [shards] = query(f"nightglass_shard_duration_seconds_count{{{labels}}}").values()
    assert shards == SHARDS
    [seconds] = query(f"nightglass_shard_duration_seconds_sum{{{labels}}}").values()
    assert 0 < seconds < SHARDS * watched.seconds
    [row] = site.rows(
        "SELECT * FROM nights WHERE collection = %(name)s AND night = %(night)s", {"name": COLLECTION, "night": NIGHT}
    )
    outcomes = {dict(found)["outcome"]: value for found, value in query(f"nightglass_images_total{{{labels}}}").items()}
    assert outcomes == {name: row[name] for name in ("scored", "quarantined", "anomalous")}
    decisions = {
        dict(found)["decision"]: value for found, value in query(f"nightglass_nights_total{{{labels}}}").items()
    }
    assert decisions == {row["decision"]: 1}


def test_the_pages_tell_the_same_night(watched: Watched) -> None:
    query = watched.prometheus.query
    up = {dict(labels)["service"]: value for labels, value in query("nightglass_service_up").items()}
    assert up == {"results": 1, "nights": 1, "mlflow": 1}
    assert len(query("nightglass_champion_info")) == 1
    assert len(query("nightglass_night_image_seconds")) == 2


def test_no_alert_of_a_silent_airflow_is_pending(watched: Watched) -> None:
    pending = {dict(labels)["alertname"] for labels in watched.prometheus.query("ALERTS")}
    assert not pending & {"NightglassSchedulerSilent", "NightglassDagProcessorSilent", "NightglassServiceDown"}


def test_series_stay_few(watched: Watched) -> None:
    """Labels name collections, DAGs, tasks, pools and queues; no run, no host, no image."""
    labels = {name for found in watched.prometheus.client.get(
        "/api/v1/series", params={"match[]": '{__name__=~"airflow_ti_.+|airflow_pool_.+|nightglass_.+"}'}
    ).json()["data"] for name in found}  # fmt: skip
    assert not labels & {"run_id", "job_id", "map_index", "path", "image", "hostname"}
    assert len(watched.names()) < 300


def test_the_compose_files_prometheus_loads_the_rules(tmp_path: Path) -> None:
    find_tool("prometheus")
    with running_stack(tmp_path / "home", services=["prometheus"]) as stack:
        address = _address_of(stack)
        found = httpx.get(f"{address}/api/v1/rules").json()["data"]["groups"]
        loaded = {rule["name"] for group in found for rule in group["rules"]}
        assert loaded == {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}


def _address_of(stack: Stack) -> str:
    [option] = [word for word in " ".join(stack.processes["prometheus"].launch.command).split() if "web.listen" in word]
    return f"http://{option.partition('=')[2]}"
