"""docker-compose.yaml keeps to the compose schema and to the policy, and a file that breaks a rule is caught."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from deploy.make_env import SECRETS

from tests.unit.stack.policy import REFERENCE, breaches, environment, is_one_shot
from tests.unit.stack.variables import PROVIDERS, Known, installed_options, log_folders

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = Path(__file__).parent / "schema" / "compose-spec.json"
MONITORING = {"statsd-exporter", "prometheus", "grafana"}
File = dict[str, Any]
known = Known()


@pytest.fixture
def file() -> File:
    text = (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8")
    # Anchors share their parts; a mutation of one service must not change another.
    return json.loads(json.dumps(yaml.safe_load(text)))


def check(file: File) -> list[str]:
    return breaches(file, REPOSITORY, {name for name, _, _ in SECRETS}, known)


def schema_errors(file: File) -> list[str]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    return [error.message for error in validator(schema).iter_errors(file)]


def test_schema(file: File) -> None:
    assert schema_errors(file) == []


@pytest.mark.parametrize(
    "mutate",
    [
        lambda s: s["worker"].update(helthcheck={}),
        lambda s: s["worker"].update(restart=["always"]),
        lambda s: s["redis"]["healthcheck"].update(tests="x"),
        lambda s: s["postgres"].update(deploy={"resources": {"limit": {}}}),
    ],
)
def test_schema_sees(file: File, mutate: Callable[[File], None]) -> None:
    mutate(file["services"])
    assert schema_errors(file)


def test_policy(file: File) -> None:
    assert check(file) == []


MUTATIONS: list[tuple[str, str, Callable[[File], Any]]] = [
    ("redis", "names no release", lambda s: s.update(image="redis:latest")),
    ("redis", "names no release", lambda s: s.update(image="redis:alpine")),
    ("redis", "has no tag", lambda s: s.update(image="redis")),
    ("redis", "has no tag", lambda s: s.update(image="registry.example.org:5000/redis")),
    ("grafana", "no fixed version", lambda s: s["environment"].pop("GF_PLUGINS_PREINSTALL_DISABLED")),
    ("worker", "runs as root", lambda s: s.pop("user")),
    ("worker", "runs as root", lambda s: s.update(user="0:0")),
    ("worker", "privileged", lambda s: s.update(privileged=True)),
    ("worker", "capabilities", lambda s: s.pop("cap_drop")),
    ("worker", "capabilities", lambda s: s.update(cap_add=["SYS_ADMIN"])),
    ("worker", "gain privileges", lambda s: s.pop("security_opt")),
    ("worker", "write to its image", lambda s: s.update(read_only=False)),
    ("worker", "shares the host", lambda s: s.update(network_mode="host")),
    ("worker", "Docker's socket", lambda s: s["volumes"].append("/var/run/docker.sock:/var/run/docker.sock:ro")),
    ("mlflow", "no health check", lambda s: s.pop("healthcheck")),
    ("mlflow", "no health check", lambda s: s["healthcheck"].update(disable=True)),
    ("triggerer", "not started again", lambda s: s.pop("restart")),
    ("triggerer", "no limit of memory", lambda s: s["deploy"]["resources"]["limits"].pop("memory")),
    ("triggerer", "no limit of pids", lambda s: s["deploy"]["resources"]["limits"].pop("pids")),
    ("triggerer", "no limit of cpus", lambda s: s.pop("deploy")),
    ("postgres", "no reference to a secret", lambda s: s["environment"].update(POSTGRES_PASSWORD="airflow")),
    ("postgres", "no reference", lambda s: s["environment"].update(POSTGRES_PASSWORD="${POSTGRES_PASSWORD:-a}")),
    ("worker", "holds a password", lambda s: s["environment"].update(X="redis://:hunter2@redis:6379/0")),
    ("worker", "holds a password", lambda s: s["environment"].update(X="postgresql://a:${REDIS_PASSWORD}@b/c")),
    ("redis", "command shows", lambda s: s.update(command=["redis-server", "${REDIS_PASSWORD:?run make env}"])),
    ("api-server", "open to everybody", lambda s: s.update(ports=["8080:8080"])),
    ("api-server", "open to everybody", lambda s: s.update(ports=["0.0.0.0:8080:8080"])),
    ("worker", "nobody reads", lambda s: s["environment"].update(AIRFLOW__CORE__PARALELLISM="1")),
    ("worker", "nobody reads", lambda s: s["environment"].update(NIGHTGLASS_TRACKING_URI="http://mlflow:5000")),
    ("grafana", "is not there", lambda s: s["volumes"].append("./deploy/grafana/nothing:/x:ro")),
    ("grafana", "can be written to", lambda s: s["volumes"].append("./deploy/grafana:/x")),
    ("grafana", "not declared", lambda s: s["volumes"].append("grafana-dta:/x")),
    ("worker", "no default", lambda s: s["environment"].update(X="${NEW_SETTING}")),
    ("worker", "no default", lambda s: s["environment"].update(X="${NEW_SECRET:?run make env}")),
    ("worker", "may be empty", lambda s: s["environment"].update(X="${FERNET_KEY}")),
    ("mlflow", "reached from outside", lambda s: s["networks"].append("outside")),
    ("mlflow", "network that is not declared", lambda s: s.pop("networks")),
]


@pytest.mark.parametrize(("service", "expected", "mutate"), MUTATIONS)
def test_policy_sees(file: File, service: str, expected: str, mutate: Callable[[File], Any]) -> None:
    before = copy.deepcopy(file)
    mutate(file["services"][service])
    assert file != before
    assert any(expected in breach for breach in check(file))


def test_every_secret_is_used(file: File) -> None:
    used = {reference["name"] for reference in REFERENCE.finditer(str(file))}
    assert {name for name, _, _ in SECRETS} <= used


def test_services(file: File) -> None:
    services = file["services"]
    profiles = {name: service.get("profiles") for name, service in services.items() if service.get("profiles")}
    assert profiles == {"worker-gpu": ["gpu"], **{name: ["monitoring"] for name in MONITORING}}
    assert {name for name, service in services.items() if is_one_shot(service)} == {"airflow-init"}
    assert {name for name, service in services.items() if service.get("ports")} == {"api-server", "grafana"}
    assert {s["image"] for s in services.values() if "build" in s} == {services["mlflow"]["image"]}


def test_nothing_starts_before_what_it_needs(file: File) -> None:
    services = file["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            one_shot = is_one_shot(services[other])
            expected = "service_completed_successfully" if one_shot else "service_healthy"
            assert how["condition"] == expected, (name, other)
            # A service of a profile must not hold up one that is always there.
            assert set(services[other].get("profiles", [])) <= set(service.get("profiles", []))


def test_superuser_only_in_init(file: File) -> None:
    holders = {
        name
        for name, service in file["services"].items()
        if any("${POSTGRES_PASSWORD" in value for value in environment(service).values())
    }
    assert holders == {"postgres", "airflow-init"}


def test_no_log_of_airflow_fills_the_memory(file: File) -> None:
    # AIRFLOW_HOME is a small tmpfs; the DAG processor alone writes some MB a day.
    for service in file["services"].values():
        variables = environment(service)
        if "AIRFLOW__CORE__EXECUTOR" in variables:
            logs = {name: variables.get(name, "in AIRFLOW_HOME") for name in log_folders()}
            assert len(logs) > 1
            assert all(f"{path}/".startswith("/var/log/airflow/") for path in logs.values()), logs
            assert "airflow-logs:/var/log/airflow" in service["volumes"]


def test_queues(file: File) -> None:
    services = file["services"]
    queues = {}
    for name in ("worker", "worker-gpu"):
        command = services[name]["command"]
        queues[name] = command[command.index("--queues") + 1]
    assert queues == {"worker": "cpu", "worker-gpu": "gpu"}
    assert environment(services["scheduler"])["AIRFLOW__OPERATORS__DEFAULT_QUEUE"] == "cpu"


@pytest.mark.parametrize("section", PROVIDERS)
def test_provider_options(section: str) -> None:
    installed = installed_options(section)
    if installed is None:
        pytest.skip(f"the {section} provider is only in the image")
    assert PROVIDERS[section] <= installed


def test_image() -> None:
    lines = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert bases
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1].partition(":")[0] not in {"root", "0"}
    assert not [line for line in lines if re.match(r"(ARG|ENV)\b.*(PASSWORD|SECRET|TOKEN|KEY)", line)]


def test_image_copies_what_is_there() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    for line in (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (REPOSITORY / source).exists(), source
                assert source.split("/")[0] in allowed, source


def test_stack_pins() -> None:
    name = re.compile(r"^([A-Za-z0-9_.-]+)==[0-9][\w.]*$", re.MULTILINE)
    pinned = {}
    for file in ("requirements.txt", "requirements-stack.txt"):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        found = {re.sub(r"[-_.]+", "-", word).lower() for word in name.findall(text)}
        assert len(found) == sum(not line.startswith(("#", "-")) for line in text.splitlines())
        pinned[file] = found
    assert not pinned["requirements.txt"] & pinned["requirements-stack.txt"]
    wanted = (REPOSITORY / "requirements-stack.in").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[\[<]", line)[0] for line in wanted if line[0] not in "#-"}
    assert names <= pinned["requirements-stack.txt"]
