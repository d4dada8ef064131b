"""Read docker-compose.yaml as Docker Compose does, as far as it goes here; whatever else is in it is an error."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.native.errors import StackError

#: What the harness acts on.
_USED = {"command", "entrypoint", "environment", "healthcheck", "depends_on", "profiles", "volumes", "tmpfs", "ports"}
#: What bounds or names a container and changes nothing of what runs in it; a native process goes without.
_OF_CONTAINERS = {
    *("image", "build", "user", "init", "restart", "networks", "deploy", "logging", "shm_size", "stop_grace_period"),
    *("security_opt", "cap_drop", "read_only"),
}
_CHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
_CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}
_REFERENCE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<how>[?-])(?P<rest>[^{}]*))?\}|(?P<wrong>.?))")
_DURATION = re.compile(r"(\d+)(s|m|h)")
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class HealthCheck:
    """How a service's health is looked at: a command, a shell text where ``is_shell``."""

    test: tuple[str, ...]
    is_shell: bool
    timeout_seconds: float


@dataclass(frozen=True)
class Mount:
    """A folder or file of the container at ``target``: a named volume, something of the repository, or a tmpfs."""

    target: str
    volume: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Service:
    """One service; every value is interpolated, nothing is translated yet."""

    name: str
    image: str
    is_built: bool
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    check: HealthCheck | None
    depends_on: Mapping[str, str]
    profiles: frozenset[str]
    mounts: tuple[Mount, ...]
    published: Mapping[int, int]
    is_one_shot: bool


def read_compose(path: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services of a compose file.

    Args:
        path: The file.
        variables: What ``.env`` sets.

    Raises:
        StackError: It holds something that the harness does not understand, or lacks a variable.
    """
    file = yaml.safe_load(path.read_text(encoding="utf-8"))
    unknown = {key for key in file if not key.startswith("x-")} - {"name", "services", "networks", "volumes"}
    if unknown:
        raise StackError(f"{path.name}: expected keys that the native stack knows, got {', '.join(sorted(unknown))}")
    services = _interpolate(file["services"], variables, path.name)
    return {name: _read_service(name, service) for name, service in services.items()}


def referenced_variables(path: Path) -> set[str]:
    """Return the names of the variables that a compose file takes from ``.env``."""
    return {found["name"] for found in _REFERENCE.finditer(path.read_text(encoding="utf-8")) if found["name"]}


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of a ``.env`` file.

    Raises:
        StackError: A line is neither NAME=VALUE nor a comment, or needs Compose's rules for quotes.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not (sign and name.isidentifier()) or set(value) & set("'\"$# "):
            # The value is not repeated: it may be a secret.
            raise StackError(f"{path}: line {number}: expected NAME=VALUE without quotes, blanks and $, got another")
        found[name] = value
    return found


def with_dependencies(services: Mapping[str, Service], wanted: Collection[str]) -> list[str]:
    """Return the wanted services and all that they need, in an order in which they can be started.

    Raises:
        StackError: There is no such service.
    """
    order: list[str] = []

    def add(name: str) -> None:
        if name not in services:
            raise StackError(f"expected a service of docker-compose.yaml, got {name}; known: {', '.join(services)}")
        for other in services[name].depends_on:
            add(other)
        if name not in order:
            order.append(name)

    for name in wanted:
        add(name)
    return order


def _interpolate(value: Any, variables: Mapping[str, str], where: str) -> Any:  # noqa: ANN401  any YAML
    if isinstance(value, dict):
        return {key: _interpolate(part, variables, f"{where}: {key}") for key, part in value.items()}
    if isinstance(value, list):
        return [_interpolate(part, variables, where) for part in value]
    return _fill(value, variables, where) if isinstance(value, str) else value


def _fill(text: str, variables: Mapping[str, str], where: str) -> str:
    def replace(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        if found["name"] is None:
            raise StackError(f"{where}: expected $$, ${{NAME:-default}} or ${{NAME:?error}}, got {found[0]}")
        value = variables.get(found["name"], "")
        if value or found["how"] is None:
            return value
        if found["how"] == "?":
            raise StackError(f"{where}: expected {found['name']} in .env, got none: {found['rest']}")
        return found["rest"]

    return _REFERENCE.sub(replace, text)


def _read_service(name: str, service: Mapping[str, Any]) -> Service:
    if unknown := set(service) - _USED - _OF_CONTAINERS:
        raise StackError(f"{name}: expected keys that the native stack knows, got {', '.join(sorted(unknown))}")
    environment = {key: str(value) for key, value in service.get("environment", {}).items()}
    return Service(
        name=name,
        image=str(service["image"]).rpartition(":")[0],
        is_built="build" in service,
        entrypoint=_words(service.get("entrypoint", [])),
        command=_words(service.get("command", [])),
        environment=environment,
        check=_read_check(name, service.get("healthcheck")),
        depends_on=dict(_read_dependencies(name, service.get("depends_on", {}))),
        profiles=frozenset(service.get("profiles", [])),
        mounts=tuple(_read_mounts(name, service)),
        published=dict(_read_port(name, str(port)) for port in service.get("ports", [])),
        is_one_shot=service.get("restart") == "no",
    )


def _words(value: str | list[str]) -> tuple[str, ...]:
    return tuple(shlex.split(value) if isinstance(value, str) else value)


def _read_check(name: str, check: Mapping[str, Any] | None) -> HealthCheck | None:
    if check is None:
        return None
    kind, *test = check["test"]
    if set(check) - _CHECK_KEYS or kind not in {"CMD", "CMD-SHELL"}:
        raise StackError(f"{name}: expected a health check of CMD or CMD-SHELL with times, got {sorted(check)}")
    for key in ("interval", "start_period"):
        read_seconds(check[key])
    return HealthCheck(tuple(test), kind == "CMD-SHELL", read_seconds(check["timeout"]))


def read_seconds(text: str) -> float:
    """Return the seconds of a duration such as 1m30s."""
    if not re.fullmatch(rf"({_DURATION.pattern})+", text):
        raise StackError(f"expected a duration such as 1m30s, got {text}")
    return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


def _read_dependencies(name: str, depends_on: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for other, how in depends_on.items():
        if set(how) != {"condition"} or how["condition"] not in _CONDITIONS:
            raise StackError(f"{name}: depends_on {other}: expected a condition, got {how}")
        yield other, how["condition"]


def _read_mounts(name: str, service: Mapping[str, Any]) -> Iterator[Mount]:
    for entry in service.get("volumes", []):
        source, target, *mode = str(entry).split(":")
        if mode not in ([], ["ro"]) or not target.startswith("/"):
            raise StackError(f"{name}: expected a volume SOURCE:/TARGET or SOURCE:/TARGET:ro, got {entry}")
        if source.startswith("./"):
            yield Mount(target, source=source)
        elif source[0] in "/.~":
            raise StackError(f"{name}: expected a named volume or something of the repository, got {entry}")
        else:
            yield Mount(target, volume=source)
    for entry in service.get("tmpfs", []):
        yield Mount(str(entry).partition(":")[0])


def _read_port(name: str, port: str) -> tuple[int, int]:
    """Return the port inside and outside the container."""
    found = re.fullmatch(r"127\.0\.0\.1:(\d+):(\d+)", port)
    if not found:
        raise StackError(f"{name}: expected a port on 127.0.0.1 only, got {port}")
    return int(found[2]), int(found[1])
