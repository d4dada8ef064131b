"""Prometheus and Grafana ask for what is there: services, ports, metrics and files agree."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nightglass.pages import metrics, night_metrics, service_metrics
from tests.monitoring.exporter import Exporter
from tests.monitoring.prometheus import find_tool, write_configuration

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOY = REPOSITORY / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
MAPPING = DEPLOY / "statsd" / "mapping.yaml"
DOCUMENT = (REPOSITORY / "docs" / "monitoring.md").read_text(encoding="utf-8")
RUNBOOK = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")
SUFFIX = re.compile(r"_(bucket|total|count|sum)$")


def parse(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def metric_names() -> set[str]:
    """The metrics of the pages and of the tasks."""
    sources = [Path(module.__file__ or "") for module in (night_metrics, metrics, service_metrics)]
    literal = {name for path in sources for name in re.findall(r'"(nightglass_\w+)"', path.read_text(encoding="utf-8"))}
    infos = {f"{name}_info" for name in literal if name.endswith(("_champion", "_model"))}
    mapped = {SUFFIX.sub("", mapping["name"]) for mapping in parse(MAPPING)["mappings"]}
    return (literal | infos | mapped | {f"nightglass_{name}" for name, _, _ in night_metrics._GAUGES}) - {
        "nightglass_champion",
        "nightglass_night_model",
    }


def airflow_names() -> set[str]:
    """The metrics that Airflow says it sends, as the exporter names them."""
    from airflow._shared.observability.metrics.metrics_registry import MetricsRegistry

    return {f"airflow_{re.sub('[^a-z0-9_]', '_', name)}" for name in MetricsRegistry()._metrics}


def asked_names(expression: str) -> set[str]:
    return {SUFFIX.sub("", name) for name in re.findall(r"\b(?:airflow|nightglass)_\w+", expression)}


def expressions() -> list[tuple[str, str]]:
    rules = [(rule["alert"], rule["expr"]) for group in parse(RULES)["groups"] for rule in group["rules"]]
    panels = [
        (panel["title"], target["expr"])
        for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    ]
    return rules + panels


@pytest.mark.parametrize(("name", "expression"), expressions())
def test_rules_and_dashboards_ask_for_metrics_that_exist(name: str, expression: str) -> None:
    asked = asked_names(expression)
    assert asked or re.search(r"\b(ALERTS|up)\b", expression), name
    assert asked <= metric_names() | airflow_names(), name


def test_every_metric_is_documented() -> None:
    assert {name for name in metric_names() if f"`{name}" not in DOCUMENT} == set()


def test_every_alert_and_panel_is_documented_and_every_alert_has_a_way_out() -> None:
    alerts = [rule["alert"] for group in parse(RULES)["groups"] for rule in group["rules"]]
    assert len(set(alerts)) == len(alerts)
    assert [alert for alert in alerts if f"`{alert}`" not in DOCUMENT] == []
    assert [alert for alert in alerts if f"`{alert}`" not in RUNBOOK] == []
    titles = {name for name, _ in expressions()} - set(alerts)
    assert {title for title in titles if f"| {title} |" not in DOCUMENT} == set()
    told = set(re.findall(r"`(Nightglass[A-Z]\w+)`", DOCUMENT + RUNBOOK))
    assert told <= set(alerts)


def test_the_rules_fire_when_they_should() -> None:
    promtool = find_tool("promtool")
    for arguments in (("check", "rules", RULES), ("test", "rules", Path(__file__).parent / "rules_test.yaml")):
        done = subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_tested_both_ways() -> None:
    tests = [
        case for test in parse(Path(__file__).parent / "rules_test.yaml")["tests"] for case in test["alert_rule_test"]
    ]
    fires = {case["alertname"] for case in tests if case["exp_alerts"]}
    assert fires == {rule["alert"] for group in parse(RULES)["groups"] for rule in group["rules"]}


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    targets = {"api-server:8080": "127.0.0.1:1", "statsd-exporter:9102": "127.0.0.1:2"}
    file = write_configuration(tmp_path, targets, "a-token")
    done = subprocess.run(
        [find_tool("promtool"), "check", "config", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout
    assert "127.0.0.1:1" in file.read_text()


def test_the_files_of_prometheus_are_mounted_beside_each_other() -> None:
    mounted = dict(volume.split(":")[:2] for volume in compose()["prometheus"]["volumes"] if volume.startswith("./"))
    read = parse(DEPLOY / "prometheus" / "prometheus.yaml")
    assert read["rule_files"] == [RULES.name]
    folder = mounted["./deploy/prometheus/prometheus.yaml"].rpartition("/")[0]
    assert mounted["./deploy/prometheus/rules.yaml"] == f"{folder}/{RULES.name}"


def test_the_mapping_is_what_the_tests_stand_in_knows() -> None:
    exporter = Exporter.read(MAPPING)
    assert set(exporter.mappings) == {f"airflow.nightglass.{name}" for name in (
        "shard.images", "shard.duration", "shard.image_duration", "shard.stage_duration", "images", "nights"
    )}  # fmt: skip


def compose() -> Any:
    return parse(REPOSITORY / "docker-compose.yaml")["services"]


def test_prometheus_reaches_what_it_scrapes() -> None:
    services = compose()
    jobs = {job["job_name"]: job for job in parse(DEPLOY / "prometheus" / "prometheus.yaml")["scrape_configs"]}
    for job in jobs.values():
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            assert set(services[name]["networks"]) & set(services["prometheus"]["networks"])
            assert port in str(services[name]["healthcheck"]["test"])
    token = jobs["nightglass"]["authorization"]["credentials_file"]
    assert f"> {token} " in services["prometheus"]["command"][0]


def test_airflow_sends_where_the_exporter_listens() -> None:
    services = compose()
    variables = services["scheduler"]["environment"]
    assert variables["AIRFLOW__METRICS__STATSD_HOST"] in services
    port = variables["AIRFLOW__METRICS__STATSD_PORT"]
    assert f"--statsd.listen-udp=:{port}" in services["statsd-exporter"]["command"]
    assert variables["AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED"] == "True"
