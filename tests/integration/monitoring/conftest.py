"""Real nights of a real champion behind the real pages, a real Prometheus, and Airflow's own client of StatsD."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from nightglass.night import flow
from nightglass.pages.app import create_app
from nightglass.pages.runs import AirflowRun
from tests.conftest import write_panels
from tests.monitoring.exporter import Exporter, running_exporter
from tests.monitoring.prometheus import DEPLOY, Prometheus, running_prometheus
from tests.unit.pages.conftest import People

TOKEN = "a-token-of-forty-characters-0123456789ab"
NIGHTS = ("2026-03-02", "2026-03-03", "2026-03-04")
COLLECTION = """
images: {images}/{{night}}
schedule: "0 2 * * *"
catchup: true
start_date: 2026-03-01
detector: {{precision: auto}}
ready: {{quiet_minutes: 0}}
scoring: {{shard_size: 20, batch_size: 4, top_k: 4}}
decision: {{min_images: 20, min_baseline_nights: 2, expected_anomaly_rate: 0.02}}
"""


@dataclass
class Site:
    """Where the nights are, what their steps returned, and the address of the pages."""

    home: Path
    shards: list[dict[str, object]] = field(default_factory=list)
    published: list[dict[str, object]] = field(default_factory=list)
    url: str = ""


class Waiting:
    """Airflow with two runs of the nightly DAG: one runs, one waits."""

    def find(self, collection: str, run_id: str) -> AirflowRun | None:  # noqa: ARG002
        return None

    def recent(self, collection: str, limit: int) -> list[AirflowRun]:  # noqa: ARG002
        at = datetime(2026, 3, 5, tzinfo=UTC)
        return [AirflowRun(state, state, at, "2026-03-05", "/") for state in ("queued", "running")]


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def site(
    nightglass: Callable[..., object],
    good_images: Path,
    tmp_path_factory: pytest.TempPathFactory,
    environment: pytest.MonkeyPatch,
) -> Site:
    """Three nights of the collection `line`: quiet, quiet, and one with defects and files that are no images."""
    folder = tmp_path_factory.mktemp("site")
    home, files = folder / "home", folder / "collections"
    files.mkdir()
    file = files / "line.yaml"
    file.write_text(COLLECTION.format(images=folder / "images"))
    environment.setenv("NIGHTGLASS_HOME", str(home))
    environment.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(files))
    environment.setenv("NIGHTGLASS_METRICS_TOKEN", TOKEN)
    done = nightglass(
        "fit", "--images", good_images, "--out", folder / "detector", "--collection", file, "--register",
        env={"NIGHTGLASS_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    site = Site(home)
    for place, night in enumerate(NIGHTS):
        images = write_panels(folder / "images" / night, range(100 * place, 100 * place + 40), defects=4 * (place == 2))
        for broken in range(2 * (place == 2)):
            (images / f"broken-{broken}.png").write_bytes(b"no image")
        plan = flow.list_night(str(file), night)
        site.shards += [flow.score_night_shard(plan, shard) for shard in flow.validate_night(plan)]
        flow.assess_night(plan)
        site.published.append(flow.publish_night(plan))
    return site


@pytest.fixture(scope="module")
def pages(site: Site) -> Iterator[Site]:
    """The pages on a port of this machine, where Airflow has them."""
    people = People(readers={"ana": {"line"}})
    app = FastAPI()
    app.mount("/nightglass", create_app(people.authenticate, lambda _: None, airflow_runs=Waiting()))
    with _served(app) as port:
        site.url = f"http://127.0.0.1:{port}"
        yield site


@contextmanager
def _served(app: FastAPI) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with running_exporter(DEPLOY / "statsd" / "mapping.yaml") as exporter:
        yield exporter


@pytest.fixture(scope="module")
def prometheus(pages: Site, exporter: Exporter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Asks both every second."""
    targets = {
        "api-server:8080": pages.url.removeprefix("http://"),
        "statsd-exporter:9102": f"127.0.0.1:{exporter.http_port}",
    }
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), targets, TOKEN) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def stats(
    exporter: Exporter, tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch
) -> Iterator[object]:
    """Airflow's statistics with the settings of docker-compose.yaml, sent to the exporter."""
    environment.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    environment.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    environment.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
    environment.setenv("AIRFLOW__METRICS__STATSD_PORT", str(exporter.udp_port))
    environment.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    environment.syspath_prepend(str(DEPLOY.parent / "dags"))
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
    yield stats
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
