"""The native stack reads docker-compose.yaml as Compose does, and refuses what it does not understand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.make_env import SECRETS, compose_env
from deploy.native.compose import read_compose, read_env, read_seconds, referenced_variables, with_dependencies
from deploy.native.errors import StackError

FILE = Path(__file__).resolve().parents[3] / "docker-compose.yaml"
VARIABLES = {name: f"drawn-{name.lower()}" for name, _, _ in SECRETS}


def write(folder: Path, mutate: Callable[[dict[str, Any]], Any]) -> Path:
    """Write the compose file with a change in it."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    mutate(content["services"])
    path = folder / "docker-compose.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_reads_the_file() -> None:
    services = read_compose(FILE, VARIABLES)

    assert set(services) >= {"postgres", "redis", "seaweedfs", "mlflow", "api-server", "scheduler", "worker"}
    init, worker = services["airflow-init"], services["worker"]
    assert init.is_one_shot
    assert not worker.is_one_shot
    assert init.environment["ADMIN_PASSWORD"] == "drawn-admin_password"
    assert worker.environment["AIRFLOW__API__BASE_URL"] == "http://localhost:8080"
    assert worker.environment["AIRFLOW__CELERY__BROKER_URL"] == "redis://:drawn-redis_password@redis:6379/0"
    # Merged from the anchors, where the nearer one wins.
    assert worker.environment["DO_NOT_TRACK"] == "1"
    assert worker.depends_on["airflow-init"] == "service_completed_successfully"
    assert worker.check
    assert worker.check.is_shell
    assert worker.check.timeout_seconds == 30
    assert 'celery@$HOSTNAME"' in worker.check.test[0]
    assert services["api-server"].published == {8080: 8080}
    assert services["worker-gpu"].profiles == {"gpu"}
    assert not services["postgres"].is_built


def test_the_port_comes_from_env() -> None:
    services = read_compose(FILE, VARIABLES | {"UI_PORT": "9000"})

    assert services["api-server"].published == {8080: 9000}


def test_every_secret_must_be_there() -> None:
    for name in VARIABLES:
        with pytest.raises(StackError, match=rf"expected {name} in \.env, got none: run make env"):
            read_compose(FILE, VARIABLES | {name: ""})


@pytest.mark.parametrize(
    ("expected", "mutate"),
    [
        ("worker: expected keys .* got devices", lambda s: s["worker"].update(devices=["/dev/dri"])),
        ("worker: expected keys .* got env_file", lambda s: s["worker"].update(env_file=[".env"])),
        ("redis: expected a port on 127.0.0.1", lambda s: s["redis"].update(ports=["0.0.0.0:6379:6379"])),
        ("redis: expected a port on 127.0.0.1", lambda s: s["redis"].update(ports=["6379:6379"])),
        ("redis: expected a health check", lambda s: s["redis"]["healthcheck"].update(test=["NONE"])),
        ("redis: expected a health check", lambda s: s["redis"]["healthcheck"].update(start_interval="1s")),
        ("redis: expected a volume", lambda s: s["redis"].update(volumes=["redis-data:/data:rw"])),
        ("redis: expected a named volume", lambda s: s["redis"].update(volumes=["/srv/redis:/data"])),
        ("mlflow: depends_on redis", lambda s: s["mlflow"]["depends_on"].update(redis={"condition": "started"})),
        ("expected a duration", lambda s: s["redis"]["healthcheck"].update(interval="soon")),
        (r"expected \$\$", lambda s: s["redis"]["environment"].update(X="$HOME")),
        (r"expected \$\$", lambda s: s["redis"]["environment"].update(X="${A:+b}")),
    ],
)
def test_refuses_what_it_does_not_understand(
    tmp_path: Path, expected: str, mutate: Callable[[dict[str, Any]], Any]
) -> None:
    with pytest.raises(StackError, match=expected):
        read_compose(write(tmp_path, mutate), VARIABLES)


def test_refuses_another_section(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("services: {}\nsecrets: {}\n")

    with pytest.raises(StackError, match=r"x\.yaml: expected keys .* got secrets"):
        read_compose(tmp_path / "x.yaml", {})


def test_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(compose_env())

    found = read_env(tmp_path / ".env")

    assert set(found) == {name for name, _, _ in SECRETS}
    read_compose(FILE, found)


@pytest.mark.parametrize("line", ["NAME", "A B=c", "NAME='quoted'", "NAME=a$b", "NAME=a # b"])
def test_env_file_with_rules_of_its_own(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# secrets\nGOOD=1\n{line}\n")

    with pytest.raises(StackError, match=r"line 3: expected NAME=VALUE") as caught:
        read_env(tmp_path / ".env")
    assert "quoted" not in str(caught.value)


def test_referenced_variables() -> None:
    found = referenced_variables(FILE)

    assert {name for name, _, _ in SECRETS} <= found
    assert {"UI_PORT", "SCORING_SLOTS"} <= found
    # Two dollar signs are for the shell in the container.
    assert "HOSTNAME" not in found


def test_order() -> None:
    services = read_compose(FILE, VARIABLES)

    assert set(with_dependencies(services, ["mlflow"])) == {"postgres", "seaweedfs", "airflow-init", "mlflow"}
    order = with_dependencies(services, ["worker"])
    assert order.index("postgres") < order.index("airflow-init") < order.index("mlflow") < order.index("worker")
    with pytest.raises(StackError, match=r"expected a service .* got wrker"):
        with_dependencies(services, ["wrker"])


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10), ("5m", 300), ("1m30s", 90), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert read_seconds(text) == seconds
