"""Prometheus and Grafana ask for what is there: services, ports, metrics and files agree."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import nightglass.pages.metrics
import nightglass.pages.night_metrics as nights

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOY = REPOSITORY / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
SUFFIX = re.compile(r"_(bucket|total|count|sum)$")


def parse(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def metric_names() -> set[str]:
    sources = [Path(module.__file__ or "") for module in (nights, nightglass.pages.metrics)]
    literal = {name for path in sources for name in re.findall(r'"(nightglass_\w+)"', path.read_text(encoding="utf-8"))}
    return literal | {f"nightglass_{name}" for name, _, _ in nights._GAUGES}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_asks_for_metrics_that_exist(path: Path) -> None:
    panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            asked = {SUFFIX.sub("", name) for name in re.findall(r"nightglass_\w+", target["expr"])}
            assert asked
            assert asked <= metric_names(), panel["title"]


def test_provisioning_agrees() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = parse(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    [provider] = parse(provisioning / "dashboards" / "nightglass.yaml")["providers"]
    services = parse(REPOSITORY / "docker-compose.yaml")["services"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
    assert source["url"] == "http://prometheus:9090"
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}


def test_prometheus_reaches_what_it_scrapes() -> None:
    services = parse(REPOSITORY / "docker-compose.yaml")["services"]
    jobs = {job["job_name"]: job for job in parse(DEPLOY / "prometheus" / "prometheus.yaml")["scrape_configs"]}
    for job in jobs.values():
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            assert set(services[name]["networks"]) & set(services["prometheus"]["networks"])
            assert port in str(services[name]["healthcheck"]["test"])
    token = jobs["nightglass"]["authorization"]["credentials_file"]
    assert f"> {token} " in services["prometheus"]["command"][0]


def test_airflow_sends_where_the_exporter_listens() -> None:
    services = parse(REPOSITORY / "docker-compose.yaml")["services"]
    variables = services["scheduler"]["environment"]
    assert variables["AIRFLOW__METRICS__STATSD_HOST"] in services
    port = variables["AIRFLOW__METRICS__STATSD_PORT"]
    assert f"--statsd.listen-udp=:{port}" in services["statsd-exporter"]["command"]
