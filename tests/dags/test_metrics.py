"""What a task that ended well tells Airflow's statistics; a StatsD that is away disturbs nobody."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nightglass.collections import Collection
from tests.monitoring.exporter import running_exporter

MAPPING = Path(__file__).resolve().parents[2] / "deploy" / "statsd" / "mapping.yaml"
SHARD = {
    "shard": 0, "images": 40, "seconds": 2.5, "limited_by": "the network",
    "wait": 0.4, "decode": 1.2, "embed": 2.0, "search": 0.4, "read": 0.3, "load": 1.0, "write": 0.1,
}  # fmt: skip
#: Its file was there already.
FINISHED = {"shard": 1, "images": 40, "seconds": 0.1, "limited_by": None}
NIGHT = {"decision": "watch", "changed": True, "scored": 78, "quarantined": 2, "anomalous": 3, "reasons": ["</a>,x=1"]}


@pytest.fixture
def send(monkeypatch):
    """Point Airflow's statistics at a StatsD, as docker-compose.yaml does."""

    def point(host: str, port: int) -> None:
        from airflow.sdk.observability import stats
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", host)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(port))
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)

    yield point
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.observability import stats

    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


def end_well(task_id: str, returned: object, *, map_index: int = -1, name: str | None = "cells") -> None:
    """Call what Airflow calls when a task ended well."""
    from nightglass_airflow.failures import default_arguments

    asked = {"task_ids": task_id, "map_indexes": map_index}

    def pull(**wanted: object) -> object:
        assert wanted == asked
        return returned

    collection = Collection(name=name, images="/{night}") if name else None
    ti = SimpleNamespace(task_id=task_id, map_index=map_index, xcom_pull=pull)
    default_arguments(collection)["on_success_callback"]({"ti": ti})


@pytest.fixture
def received(send):
    """Return the exporter's samples by name and labels, once nothing more comes."""
    with running_exporter(MAPPING) as exporter:
        send("127.0.0.1", exporter.udp_port)

        def read() -> dict[str, float]:
            before = -1
            while len(exporter.lines) != before:
                before = len(exporter.lines)
                time.sleep(0.2)
            samples = [line for line in exporter.text().splitlines() if not line.startswith("#")]
            return {name: float(value) for name, _, value in (line.rpartition(" ") for line in samples)}

        yield read


def test_a_shard_is_counted_and_timed(received):
    end_well("score_shard", SHARD, map_index=0)
    samples = received()
    assert samples['nightglass_shard_images_total{collection="cells"}'] == 40
    assert samples['nightglass_shard_duration_seconds_sum{collection="cells"}'] == pytest.approx(2.5)
    assert samples['nightglass_shard_duration_seconds_bucket{collection="cells",le="2"}'] == 0
    assert samples['nightglass_shard_duration_seconds_bucket{collection="cells",le="5"}'] == 1
    assert samples['nightglass_shard_image_seconds_sum{collection="cells"}'] == pytest.approx(4.0 / 40)
    stages = {stage: samples[f'nightglass_shard_stage_seconds_sum{{collection="cells",stage="{stage}"}}'] for stage in
              ("wait", "decode", "embed", "search")}  # fmt: skip
    assert stages == pytest.approx({"wait": 0.4, "decode": 1.2, "embed": 2.0, "search": 0.4})
    assert not [name for name in samples if "load" in name or not name.startswith("nightglass_shard_")]


def test_a_shard_that_was_there_is_not_counted_again(received):
    end_well("score_shard", FINISHED, map_index=1)
    assert received() == {}


def test_a_night_is_counted_once_with_its_decision(received):
    end_well("publish_night", NIGHT)
    end_well("publish_night", {**NIGHT, "changed": False})
    assert received() == {
        'nightglass_nights_total{collection="cells",decision="watch"}': 1,
        'nightglass_images_total{collection="cells",outcome="scored"}': 78,
        'nightglass_images_total{collection="cells",outcome="quarantined"}': 2,
        'nightglass_images_total{collection="cells",outcome="anomalous"}': 3,
    }


def test_other_tasks_tell_nothing_and_are_not_asked(received):
    for task_id, name in (("assess_night", "cells"), ("promote", "cells"), ("read_collection_file", None)):
        end_well(task_id, NIGHT, map_index=5, name=name)
    assert received() == {}


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 9), ("statsd-exporter.invalid", 9125)])
def test_a_statsd_that_is_away_disturbs_nobody(send, host, port):
    send(host, port)
    for _ in range(3):  # a closed port is told with the second packet
        end_well("score_shard", SHARD, map_index=0)
        end_well("publish_night", NIGHT)


def test_every_task_of_a_night_has_the_callback(parse, write_collections):
    dag = parse(write_collections(cells="images: /data/{night}")).dags["nightly_cells"]
    assert {task.task_id for task in dag.tasks if task.on_success_callback} >= {"score_shard", "publish_night"}
