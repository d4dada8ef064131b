"""From services to what is started on this machine: commands, variables, and the folders that they need."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.native import postgres
from deploy.native.compose import HealthCheck, Service
from deploy.native.errors import StackError
from deploy.native.images import DEFAULT_PORTS, ENTRYPOINTS, REPOSITORY, built_environment, find_program, search_path
from deploy.native.places import Places, find_places
from deploy.native.ports import Ports
from deploy.native.translation import Translator

_CELERY_WORKER = ("airflow", "celery", "worker")


@dataclass(frozen=True)
class Launch:
    """One process to start, and how its health is looked at."""

    name: str
    service: Service
    command: tuple[str, ...]
    check: tuple[str, ...] | None
    environment: Mapping[str, str] = field(repr=False)
    places: Places = field(repr=False)
    log: Path
    user: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return REPOSITORY if self.service.is_built else self.places.own

    def prepare(self) -> None:
        """Empty its scratch folders, and make the database's files where there are none."""
        for place in self.places.scratch:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True, mode=0o700)
        if self.service.image == postgres.IMAGE:
            postgres.prepare(self.places, self.environment)


class Planner:
    """Plans the processes of a stack.

    Args:
        home: Folder that everything goes below.
        services: The services of the compose file.
        ports: The ports of this machine.
        extra: More variables for the services that run Nightglass.
    """

    def __init__(self, home: Path, services: Mapping[str, Service], ports: Ports, extra: Mapping[str, str]) -> None:
        self._home, self._services, self._ports, self._extra = home, services, ports, extra
        self._own: dict[str, set[int]] = {}
        self._asked: dict[str, set[tuple[str, int]]] = {}
        for service in services.values():
            for inside, outside in service.published.items():
                ports.fix(service.name, inside, outside)

    def plan(self, service: Service, number: int | None = None) -> Launch:
        """Plan one process of a service.

        Args:
            service: The service.
            number: Which of several; None where there is one.

        Raises:
            StackError: The file says something about it that cannot be done here.
        """
        name = service.name if number is None else f"{service.name}-{number}"
        places = find_places(self._home, name, service)
        places.make()
        translator = Translator(name, self._services, places.folders, self._ports)
        command = self._command(service, translator, places)
        if service.command[:3] == _CELERY_WORKER:
            # Every container has a host name of its own; the check asks for that one.
            command += ("--celery-hostname", name)
        environment = self._environment(name, service, translator, places)
        for source, copy in places.files.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(translator.text(source.read_text(encoding="utf-8"), is_file=True), encoding="utf-8")
        check = None if service.check is None else _check_command(service, service.check, translator)
        self._own[service.name], self._asked[name] = translator.own, translator.asked
        user = postgres.user() if service.image == postgres.IMAGE else {}
        log = self._home / "logs" / f"{name}.log"
        return Launch(name, service, command, check, environment, places, log, user)

    def check_ports(self) -> None:
        """Raise a StackError where somebody asks a planned service for a port that it does not listen on."""
        for name, asked in self._asked.items():
            for host, port in asked:
                if port not in self._own.get(host, {port}):
                    raise StackError(f"{name}: expected a port that {host} listens on, got {port}")

    def _command(self, service: Service, translator: Translator, places: Places) -> tuple[str, ...]:
        words = translator.words([*service.entrypoint, *service.command])
        if not service.entrypoint and service.image in ENTRYPOINTS:
            words = [ENTRYPOINTS[service.image], *words]
        if not words:
            raise StackError(f"{service.name}: expected a command that can run here, got only an image")
        words[0] = find_program(service.name, words[0])
        defaults = {option: translator.own_port(port) for option, port in DEFAULT_PORTS.get(service.image, {}).items()}
        if service.image == postgres.IMAGE:
            return (*words, *postgres.arguments(places, defaults["PGPORT"]))
        return (*words, *(f"{option}={port}" for option, port in defaults.items()))

    def _environment(self, name: str, service: Service, translator: Translator, places: Places) -> Mapping[str, str]:
        built = built_environment() if service.is_built else {}
        environment = {
            "PATH": search_path(),
            "LANG": "C.UTF-8",
            "HOSTNAME": name,
            # There is no other /tmp for what asks for none by name.
            "TMPDIR": str(places.own / "tmp"),
            **translator.variables(built | dict(service.environment)),
            **(self._extra if service.is_built else {}),
        }
        Path(environment["TMPDIR"]).mkdir(parents=True, exist_ok=True)
        if service.image == postgres.IMAGE:
            environment["PGPORT"] = str(translator.own_port(DEFAULT_PORTS[postgres.IMAGE]["PGPORT"]))
        return environment


def _check_command(service: Service, check: HealthCheck, translator: Translator) -> tuple[str, ...]:
    shell = ["sh", "-c"] if check.is_shell else []
    program, *words = shell + translator.words(check.test)
    return (find_program(service.name, program), *words)
