"""A backup of PostgreSQL and an MLflow server over S3, restored into empty ones."""

import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from nightglass.collections import read_collection
from nightglass.errors import InputError
from nightglass.maintenance.backup import write_backup
from nightglass.maintenance.deletion_records import HIDDEN, DeletionRequest
from nightglass.maintenance.forget import finish_requests, forget_image
from nightglass.maintenance.restore import restore_backup
from nightglass.models import open_registry
from nightglass.pages.app import create_app
from nightglass.promotion import promote, roll_back
from nightglass.settings import Settings, read_settings
from nightglass.storage import open_folder
from nightglass.store import PromotionEvent, Store
from tests.conftest import write_panels
from tests.integration.conftest import S3Server
from tests.integration.maintenance.conftest import COLLECTION, FIRST, SECOND, run_night
from tests.unit.pages.conftest import People

pytestmark = pytest.mark.integration
NAME, KNOWN = "nightglass-line", "known.png"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is not backed up: images and the collection's file."""
    folder = tmp_path_factory.mktemp("shared")
    for night, seeds in ((FIRST, range(100, 130)), (SECOND, range(200, 230))):
        write_panels(folder / "images" / night, seeds, defects=2)
    # A good image of the champion is among the first night's top anomalies, as everything is.
    write_panels(folder / "images" / FIRST, range(5, 6), suffix=".png")
    (folder / "images" / FIRST / "good-00005.png").rename(folder / "images" / FIRST / KNOWN)
    (folder / "line.yaml").write_text(COLLECTION.format(images=folder / "images").replace("top_k: 6", "top_k: 40"))
    return folder


@contextmanager
def running_stack(
    home: Path, nights: str, shared: Path, postgres_server: Any, s3_server: S3Server
) -> Iterator[dict[str, str]]:
    """An empty PostgreSQL database for each, an empty bucket, and an MLflow server; gives the environment."""
    home.mkdir()
    urls = {}
    for name in ("results", "mlflow"):
        database = f"{name}_{secrets.token_hex(4)}"
        with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
        urls[name] = str(postgres_server.get_uri(database=database, driver="psycopg"))
    bucket = f"s3://{s3_server.make_bucket('mlflow')}"
    access = {
        "AWS_ACCESS_KEY_ID": s3_server.key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret,
        "AWS_ENDPOINT_URL_S3": s3_server.endpoint,
        "MLFLOW_S3_ENDPOINT_URL": s3_server.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with running_mlflow(home, urls["mlflow"], bucket, access) as tracking:
        yield access | {
            "NIGHTGLASS_HOME": str(home),
            "NIGHTGLASS_COLLECTIONS_DIR": str(shared),
            "NIGHTGLASS_DATABASE_URL": urls["results"],
            "NIGHTGLASS_NIGHTS_URL": nights,
            "NIGHTGLASS_TRACKING_URL": tracking,
            "NIGHTGLASS_TRACKING_DATABASE_URL": urls["mlflow"],
            "NIGHTGLASS_TRACKING_ARTIFACTS_URL": bucket,
        }


@contextmanager
def running_mlflow(home: Path, database_url: str, artifacts: str, access: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--artifacts-destination", artifacts, "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = home / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            stdout=output,
            stderr=output,
            cwd=home,
            env=os.environ | access | quiet | {"MLFLOW_BACKEND_STORE_URI": database_url},
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 240
        while not _answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own http address
            return bool(response.status == 200)
    except OSError:
        return False


def read_pages(path: str) -> str:
    people = People(readers={"ana": {"line"}}, writers={})
    client = TestClient(create_app(people.authenticate, lambda _: None), headers={"X-Test-User": "ana"})
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


def test_an_empty_stack_goes_on_where_the_backed_up_one_stood(
    shared: Path,
    tmp_path: Path,
    postgres_server: Any,
    s3_server: S3Server,
    nightglass: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = s3_server.make_bucket()
    nights, backups = f"s3://{bucket}/nights", f"s3://{bucket}/backups"
    with ExitStack() as stacks:

        def enter(name: str) -> Settings:
            stack = running_stack(tmp_path / name, nights, shared, postgres_server, s3_server)
            for key, value in stacks.enter_context(stack).items():
                monkeypatch.setenv(key, value)
            return read_settings()

        old = enter("old")
        images, fitted = write_panels(shared / "good", range(40)), tmp_path / "fitted"
        done = nightglass(
            "fit", "--images", images, "--out", fitted, "--collection", shared / "line.yaml", "--register"
        )
        assert done.returncode == 0, done.stderr
        run_night(shared, FIRST)
        line = read_collection(shared / "line.yaml")
        second = register(old, fitted)
        promote(line, second, old, by="ana", reason="a try")
        roll_back(line, None, old, by="ana", reason="it was worse")
        history, versions = read_history(old), open_registry(old).list_versions(NAME, 9)
        assert [event.version for event in history] == ["1", "2", "1"]
        written = write_backup(old, open_folder(backups))
        assert written.champions == {NAME: "1"}
        # What is deleted after the backup was made is deleted again once that is restored.
        digest = hashlib.sha256((images / "good-00005.png").read_bytes()).hexdigest()
        request = DeletionRequest(
            collection="line", digest=digest, is_original_deleted=False, by="ana", reason="asked", asked_at="2026-03-09"
        )
        deletion = forget_image(line, old, request)
        assert deletion.waiting == []
        assert deletion.models == [f"models:/{NAME}/1", f"models:/{NAME}/2"]
        assert (deleted_of(old), bank_names(old, tmp_path / "seen"), anomaly_names(old)) == (1, {HIDDEN}, set())

        new = enter("new")
        restored = restore_backup(new, open_folder(backups), None)
        assert (restored.new_results, restored.new_tracking, restored.new_files) == (True, True, written.files)
        assert (read_history(new), open_registry(new).list_versions(NAME, 9)) == (history, versions)
        assert FIRST in read_pages("/")
        assert "it was worse" in read_pages("/collections/line/models")
        again = restore_backup(new, open_folder(backups), None)
        assert (again.new_results, again.new_tracking, again.new_files) == (False, False, 0)

        assert (deleted_of(new), anomaly_names(new)) == (0, {KNOWN})
        assert bank_names(new, tmp_path / "seen again") == {"good-00005.png"}
        (done_again,) = finish_requests(line, new, is_idle=lambda: True)  # as the maintenance DAG knows
        assert done_again.finished_at is not None
        assert (deleted_of(new), bank_names(new, tmp_path / "seen last"), anomaly_names(new)) == (1, {HIDDEN}, set())
        assert finish_requests(line, new) == []

        assert run_night(shared, SECOND)["changed"] is True
        for night in (FIRST, SECOND):
            assert night in read_pages(f"/collections/line/nights/{night}")
        with pytest.raises(InputError, match="expected an empty database to restore the results into"):
            restore_backup(new, open_folder(backups), None)
        # Versions are numbered behind the restored ones.
        assert register(new, fitted) == "3"


def register(settings: Settings, detector: Path) -> str:
    registry = open_registry(settings)
    return registry.register_detector(
        detector, name=NAME, params={}, metrics={"auroc": 0.9}, tags={"data_version": "x"}
    )


def deleted_of(settings: Settings) -> int:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        return store.upkeep.deleted_of_night("line", FIRST)


def anomaly_names(settings: Settings) -> set[str]:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        return {image.path for image in store.nights.images("line", FIRST)} & {KNOWN}


def bank_names(settings: Settings, cache: Path) -> set[str]:
    """What the champion calls the image that is deleted, whose place in the memory bank stays."""
    folder = open_registry(settings).download(f"models:/{NAME}@champion", cache)
    names: list[str] = pq.read_table(folder / "bank_images.parquet")["path"].to_pylist()
    return set(names) & {HIDDEN, "good-00005.png"}


def read_history(settings: Settings) -> list[PromotionEvent]:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        return store.promotions_of_model(NAME)
