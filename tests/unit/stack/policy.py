"""What a compose file must keep to, as a function that names every breach: ``service: what is wrong``."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Service = Mapping[str, Any]
REFERENCE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?P<rest>:[?-][^}]*)?\}")
_REQUIRED = re.compile(r"\$\{[A-Z][A-Z0-9_]*:\?[^}]+\}")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|KEY|TOKEN")
_LOGIN_IN_URL = re.compile(r"://[^:/@\s]*:(?P<password>(?:\$\{[^}]*\}|[^@\s])*)@")
#: Published on every interface only where the person who runs it says so.
_UI = "${UI_ADDRESS:-127.0.0.1}:"
_LOOPBACK = "127.0.0.1:"


def breaches(file: Mapping[str, Any], repository: Path, variables: set[str], known: Callable[[str], bool]) -> list[str]:
    """Return every breach; an empty list is a file that keeps to all.

    Args:
        file: The parsed compose file.
        repository: The folder that its relative paths start from.
        variables: Names that `make env` writes.
        known: Tells whether a variable of Airflow or Nightglass exists.
    """
    found = [f"{name}: {wrong}" for name, service in file["services"].items() for wrong in _of_service(service)]
    found += [
        f"{name}: {wrong}"
        for name, service in file["services"].items()
        for check in (_unknown_variables(service, known), _missing_files(service, repository))
        for wrong in check
    ]
    found += [f"volume {name} is not declared" for name in sorted(_named_volumes(file) - set(file["volumes"]))]
    return found + list(_unset_references(file, variables)) + list(_open_networks(file))


def is_one_shot(service: Service) -> bool:
    """Tell whether a service does its work and ends."""
    return service.get("restart") == "no"


def _of_service(service: Service) -> Iterator[str]:
    yield from _image(service)
    yield from _rights(service)
    yield from _life(service)
    yield from _secrets(service)
    for port in service.get("ports", []):
        if not str(port).startswith((_UI, _LOOPBACK)):
            yield f"port {port} is open to everybody"


def _image(service: Service) -> Iterator[str]:
    name, _, tag = str(service.get("image", "")).rpartition(":")
    if not name or "/" in tag:
        yield "its image has no tag"
    elif tag == "latest" or not re.search(r"\d+\.\d+", tag):
        yield f"image tag {tag} names no release"
    # It would fetch the newest of them at every start.
    if name.startswith("grafana/") and environment(service).get("GF_PLUGINS_PREINSTALL_DISABLED") != "true":
        yield "fetches plugins of no fixed version"


def _rights(service: Service) -> Iterator[str]:
    if str(service.get("user", "root")).partition(":")[0] in {"root", "0"}:
        yield "runs as root"
    if service.get("privileged"):
        yield "is privileged"
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    if not service.get("read_only"):
        yield "can write to its image"
    if service.get("network_mode") or service.get("pid") or service.get("ipc"):
        yield "shares the host's network or processes"
    if any("docker.sock" in str(volume) for volume in service.get("volumes", [])):
        yield "has Docker's socket"


def _life(service: Service) -> Iterator[str]:
    if not is_one_shot(service):
        if service.get("restart") != "unless-stopped":
            yield "is not started again"
        check = service.get("healthcheck") or {}
        if check.get("disable") or not check.get("test") or check["test"] in ("NONE", ["NONE"]):
            yield "has no health check"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for limit in {"cpus", "memory", "pids"} - set(limits):
        yield f"has no limit of {limit}"


def _secrets(service: Service) -> Iterator[str]:
    for name, value in environment(service).items():
        if _SECRET_NAME.search(name) and not _REQUIRED.fullmatch(value) and "://" not in value:
            yield f"{name} is no reference to a secret that must be there"
        for login in _LOGIN_IN_URL.finditer(value):
            if not _REQUIRED.fullmatch(login["password"]):
                yield f"{name} holds a password"
    for words in ("command", "entrypoint"):
        if REFERENCE.search(str(service.get(words, ""))):
            yield f"{words} shows a variable's value to everybody on the machine"


def environment(service: Service) -> dict[str, str]:
    """Return a service's variables as they stand in the file."""
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def _unknown_variables(service: Service, known: Callable[[str], bool]) -> Iterator[str]:
    for name in environment(service):
        # airflow-init makes the role whose password this is.
        is_role = is_one_shot(service) and name == "NIGHTGLASS_DATABASE_PASSWORD"
        if name.startswith(("AIRFLOW__", "NIGHTGLASS_")) and not is_role and not known(name):
            yield f"nobody reads {name}"


def _missing_files(service: Service, repository: Path) -> Iterator[str]:
    for volume in service.get("volumes", []):
        source, _, rest = str(volume).partition(":")
        if source.startswith((".", "/", "~")):
            if not (repository / source).exists():
                yield f"{source} is not there"
            if not rest.endswith(":ro"):
                yield f"{source} can be written to"


def _named_volumes(file: Mapping[str, Any]) -> set[str]:
    mounted = (str(volume) for service in file["services"].values() for volume in service.get("volumes", []))
    return {volume.partition(":")[0] for volume in mounted if not volume.startswith((".", "/", "~"))}


def _unset_references(file: Mapping[str, Any], variables: set[str]) -> Iterator[str]:
    for reference in REFERENCE.finditer(str(file)):
        name, rest = reference["name"], reference["rest"] or ""
        if rest.startswith(":-"):
            continue
        if name not in variables:
            yield f"{name} is not written by make env and has no default"
        elif not rest.startswith(":?"):
            yield f"{name} may be empty: expected ${{{name}:?...}}"


def _open_networks(file: Mapping[str, Any]) -> Iterator[str]:
    outer = {name for name, network in file["networks"].items() if not (network or {}).get("internal")}
    for name, service in file["services"].items():
        networks = set(service.get("networks", ["default"]))
        if not networks <= set(file["networks"]):
            yield f"{name}: is in a network that is not declared"
        # MLflow asks nobody for a password, and the stores are for the services alone.
        if name in {"mlflow", "postgres", "redis", "seaweedfs"} and networks & outer:
            yield f"{name}: can be reached from outside"
