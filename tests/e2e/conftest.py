"""A real Airflow with a fitted champion, drawn photographs and a webhook that listens."""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import pytest

from tests.order import group_of

REPOSITORY = Path(__file__).resolve().parents[2]


def load(name: str, path: Path) -> ModuleType:
    """Import a file that lies outside every package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


processes = load("airflow_processes", REPOSITORY / "demo" / "airflow_processes.py")
drawing = load("drawing", REPOSITORY / "tests" / "conftest.py")
s3_server = load("servers", REPOSITORY / "tests" / "integration" / "conftest.py").s3_server


@dataclass(frozen=True)
class Site:
    """Folders of the tested installation."""

    home: Path
    images: Path
    collections: Path

    def draw(self, collection: str, night: str, seeds: range, defects: int = 0) -> Path:
        """Write a night's panels; the last ``defects`` of them are defect."""
        return drawing.write_panels(self.images / collection / night, seeds, defects=defects)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    site = Site(folder / "home", folder / "images", folder / "collections")
    site.collections.mkdir()
    return site


COMMON = """
schedule: null
model: nightglass-panels
detector: {precision: auto, patch_bank_size: 2000, backbone: {image_size: 96}}
scoring: {shard_size: 25, top_k: 3}
validation: {min_images: 20}
decision: {expected_anomaly_rate: 0.02, min_images: 20}
alerts: {connection: people}
"""


def write_alerted(site: Site, files: dict[str, str]) -> None:
    """Write the tests of alerts' collections: one whose nights are due within seconds, and one without champion."""
    files["due"] = f"images: {site.images}/due/{{night}}\nready: {{marker: complete.txt, poll_seconds: 10}}"
    files["gone"] = f"images: {site.images}/gone/{{night}}\nready: {{quiet_minutes: 0}}"
    due = COMMON.replace("connection: people", "connection: people, publish_hours: 0.004")
    gone = COMMON.replace("nightglass-panels", "nightglass-none")
    for name, common in (("due", due), ("gone", gone)):
        (site.collections / f"{name}.yaml").write_text(files[name] + common)


@pytest.fixture(scope="session")
def bucket(s3_server) -> str:
    return s3_server.make_bucket()


#: The Airflow that the tests of one group share.
_shared = ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared Airflow with the last test of its group: until the session ended it took a third of a core."""
    if nextitem is None or group_of(nextitem.nodeid) != "airflow":
        _shared.close()


@pytest.fixture(scope="session")
def airflow(site, bucket, s3_server, webhook, nightglass) -> Iterator[object]:
    """Airflow's own processes, with every collection's DAG switched on and the champion registered."""
    night = "/{night}"
    files = {
        "panels": f"images: {site.images}/panels{night}\nready: {{quiet_minutes: 0}}",
        "bucket": f"images: s3://{bucket}{night}\nconnection: store\nready: {{quiet_minutes: 0}}",
        "arriving": f"images: {site.images}/arriving{night}\nready: {{marker: complete.txt, poll_seconds: 10}}",
        "late": f"images: {site.images}/late{night}\nready: {{marker: complete.txt, deadline_hours: 0.0001}}",
    }
    for name, text in files.items():
        (site.collections / f"{name}.yaml").write_text(text + COMMON)
    write_alerted(site, files)
    (site.collections / "wrong.yaml").write_text("imges: x")
    environment = {
        "NIGHTGLASS_HOME": str(site.home),
        "NIGHTGLASS_COLLECTIONS_DIR": str(site.collections),
        "NIGHTGLASS_ALERT_URLS": webhook.url,
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",  # how late it is noticed that nobody answered
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,vera:viewer",
        "AIRFLOW_CONN_PEOPLE": json.dumps({"conn_type": "generic", "extra": {"urls": [webhook.url]}}),
        "AIRFLOW_CONN_STORE": (
            f"aws://{s3_server.key}:{quote(s3_server.secret)}@/?endpoint_url={quote(s3_server.endpoint, safe='')}"
        ),
    }
    good = drawing.write_panels(site.images / "good", range(60))
    out = ("--out", site.home / "detector", "--collection", site.collections / "panels.yaml", "--register")
    fitted = nightglass("fit", "--images", good, *out, env=environment)
    assert fitted.returncode == 0, fitted.stderr
    with _shared:
        running = _shared.enter_context(
            processes.running_airflow(site.home / "airflow", processes.free_port(), environment)
        )
        running.make_pool("nightglass_scoring", 1)
        for name in (*files, "wrong"):
            running.wait_for_dag(f"nightly_{name}")
        yield running


@pytest.fixture(scope="session")
def run_night(airflow) -> Callable[..., tuple[str, dict[str, str | None]]]:
    """Run a collection's night to its end; return the run's state and those of its tasks."""

    def run(collection: str, night: str, **form: object) -> tuple[str, dict[str, str | None]]:
        dag_id = f"nightly_{collection}"
        run_id = airflow.trigger(dag_id, {"night": night, **form})
        state = airflow.wait_for_run(dag_id, run_id, seconds=240)
        return state, airflow.task_states(dag_id, run_id)

    return run


@pytest.fixture
def free_port() -> int:
    return processes.free_port()
