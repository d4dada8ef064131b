"""What the compose file says of containers becomes true of this machine, or is an error."""

import json
import socket
from pathlib import Path

import pytest
from deploy.native import Stack
from deploy.native.errors import StackError
from deploy.native.images import DEFAULT_PORTS, built_environment
from deploy.native.ports import GRPC_OFFSET, Ports
from deploy.native.translation import Translator

HOSTS = ("postgres", "redis", "seaweedfs", "mlflow", "api-server", "statsd-exporter", "worker")


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(tmp_path / "ports.json")


@pytest.fixture
def translator(tmp_path: Path, ports: Ports) -> Translator:
    folders = {"/data": tmp_path / "data", "/tmp": tmp_path / "tmp", "/opt/nightglass": tmp_path / "repository"}  # noqa: S108
    return Translator("redis", HOSTS, folders, ports)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://mlflow:5000/health", "http://127.0.0.1:{mlflow:5000}/health"),
        ("redis://:pass-word_1@redis:6379/0", "redis://:pass-word_1@127.0.0.1:{redis:6379}/0"),
        (
            "db+postgresql+psycopg://mlflow:pw@postgres:5432/mlflow",
            "db+postgresql+psycopg://mlflow:pw@127.0.0.1:{postgres:5432}/mlflow",
        ),
        ("s3://mlflow/models", "s3://mlflow/models"),
        ("mlflow:*,localhost:*,127.0.0.1:*", "127.0.0.1:*,127.0.0.1:*,127.0.0.1:*"),
        (
            "urlopen('http://127.0.0.1:8974/health', timeout=9)",
            "urlopen('http://127.0.0.1:{redis:8974}/health', timeout=9)",
        ),
        ("-ip=seaweedfs", "-ip=127.0.0.1"),
        ("-ip.bind=0.0.0.0", "-ip.bind=127.0.0.1"),
        ("-s3.port=8333", "-s3.port={redis:8333}"),
        ("-s3.port.iceberg=0", "-s3.port.iceberg=0"),
        ("--statsd.listen-udp=:9125", "--statsd.listen-udp=127.0.0.1:{redis:9125}"),
        ("--web.listen-address=0.0.0.0:9090", "--web.listen-address=127.0.0.1:{redis:9090}"),
        ("--auth-host=scram-sha-256", "--auth-host=scram-sha-256"),
        ("run --bind 0.0.0.0 --port 6379 -p 6379 x", "run --bind 127.0.0.1 --port {redis:6379} -p {redis:6379} x"),
        ("-dir=/data", "-dir={home}/data"),
        ("printf %s x > /tmp/token && cat /dev/null", "printf %s x > {home}/tmp/token && cat /dev/null"),
        ("/opt/nightglass/dags", "{home}/repository/dags"),
        ("airflow.providers.fab.auth_manager.FabAuthManager", "airflow.providers.fab.auth_manager.FabAuthManager"),
    ],
)
def test_texts(tmp_path: Path, ports: Ports, translator: Translator, text: str, expected: str) -> None:
    found = translator.text(text)

    expected = expected.replace("{home}", str(tmp_path))
    for key, port in json.loads(
        (tmp_path / "ports.json").read_text() if (tmp_path / "ports.json").exists() else "{}"
    ).items():
        expected = expected.replace(f"{{{key}}}", str(port))
    assert found == expected


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("http://elsewhere:5000/", "elsewhere"),
        ("https://example.org/metrics", "example.org"),
        ("postgres-2:5432", "postgres-2"),
        ("-ip=elsewhere", "elsewhere"),
        ("/etc/passwd", "/etc/passwd"),
        ("--config.file=/database/x", "/database/x"),
    ],
)
def test_what_is_nowhere_in_the_file_is_an_error(translator: Translator, text: str, wrong: str) -> None:
    with pytest.raises(StackError, match=rf"redis: expected .* got {wrong}"):
        translator.text(text)


def test_command_lines_and_variables(ports: Ports, translator: Translator) -> None:
    words = translator.words(["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "2"])  # noqa: S104
    assert words == [
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(ports.of("redis", 5000)),
        "--workers",
        "2",
    ]
    variables = translator.variables({"X__STATSD_HOST": "statsd-exporter", "X__STATSD_PORT": "9125", "N": "2"})
    assert variables == {
        "X__STATSD_HOST": "127.0.0.1",
        "X__STATSD_PORT": str(ports.of("statsd-exporter", 9125)),
        "N": "2",
    }
    assert translator.asked == {("statsd-exporter", 9125)}
    assert translator.own == {5000}


def test_ports_are_kept_unless_somebody_has_taken_them(tmp_path: Path, ports: Ports) -> None:
    first, second = ports.of("redis", 6379), ports.of("mlflow", 5000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        again = Ports(tmp_path / "ports.json")
        assert again.of("mlflow", 5000) == second
        assert again.of("redis", 6379) not in {first, second}


def test_no_port_is_one_that_linux_gives_to_connections(ports: Ports) -> None:
    # A home keeps its ports; one that a browser's connection has at the next start would be lost.
    first_given = 32_768
    assert all(ports.of(f"seaweedfs-{number}", 9333) + GRPC_OFFSET < first_given for number in range(60))


def test_the_dockerfile_says_what_every_process_has() -> None:
    environment = built_environment()

    assert environment["AIRFLOW_HOME"] == "/opt/airflow"
    assert environment["HOME"] == "/tmp"  # noqa: S108
    assert "PATH" not in environment


def test_plan_of_the_whole_stack(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", environment={"SCORING_SLOTS": "5", "NIGHTGLASS_COLLECTIONS_DIR": "/somewhere"})

    names = {name for name in stack.processes if not name.startswith("worker")}
    assert names >= {"postgres", "redis", "seaweedfs", "airflow-init", "mlflow", "scheduler", "triggerer"}
    assert {name for name in stack.processes if name.startswith("worker")} == {"worker-1", "worker-2"}
    init = stack.processes["airflow-init"].launch
    assert init.environment["SCORING_SLOTS"] == "5"
    assert stack.environment["NIGHTGLASS_COLLECTIONS_DIR"] == "/somewhere"
    assert stack.environment["AWS_ENDPOINT_URL_S3"] == stack.s3_endpoint
    assert not {"ADMIN_PASSWORD", "POSTGRES_ADMIN_URL", "NIGHTGLASS_METRICS_TOKEN"} & set(stack.environment)
    for process in stack.processes.values():
        launch = process.launch
        # Nothing in a command line but what everybody may see, and nothing but loopback.
        assert not [
            name for name, value in stack.secrets.items() if len(value) > 10 and value in " ".join(launch.command)
        ]
        assert "0.0.0.0" not in " ".join([*launch.command, *launch.environment.values()])  # noqa: S104
        assert str(tmp_path) in launch.environment["TMPDIR"]
    assert (tmp_path / "home" / ".env").stat().st_mode & 0o077 == 0


def test_the_same_home_keeps_secrets_and_ports(tmp_path: Path) -> None:
    first = Stack(tmp_path)
    first.stop()
    second = Stack(tmp_path)

    assert first.secrets == second.secrets
    assert (first.url, first.s3_endpoint) == (second.url, second.s3_endpoint)


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    stack = Stack(tmp_path, services=["mlflow"])

    assert set(stack.processes) == {"postgres", "seaweedfs", "airflow-init", "mlflow"}


def test_every_worker_has_the_host_name_that_its_check_asks_for(tmp_path: Path) -> None:
    stack = Stack(tmp_path, services=["worker", "worker-gpu"], workers=3)

    for name in ("worker-1", "worker-2", "worker-3", "worker-gpu"):
        launch = stack.processes[name].launch
        assert launch.command[-2:] == ("--celery-hostname", name)
        assert launch.environment["HOSTNAME"] == name
        assert "--skip-serve-logs" in launch.command


def test_a_profile_is_started_where_it_is_asked_for(tmp_path: Path) -> None:
    stack = Stack(tmp_path, environment={"COMPOSE_PROFILES": "gpu"})

    assert {"worker-gpu", "worker-1"} <= set(stack.processes)


def test_what_only_an_image_holds_cannot_run_here(tmp_path: Path) -> None:
    # Prometheus, which Grafana needs, is no Python package either.
    with pytest.raises(
        StackError, match=r"grafana: expected a command that can run here|prometheus: expected the program"
    ):
        Stack(tmp_path, services=["grafana"])


def test_a_port_that_nobody_listens_on_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEFAULT_PORTS, "postgres", {"PGPORT": 5433})

    with pytest.raises(StackError, match="expected a port that postgres listens on, got 5432"):
        Stack(tmp_path)
