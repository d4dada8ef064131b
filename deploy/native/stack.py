"""The stack of docker-compose.yaml on this machine: start it, talk to it, break it, stop it."""

import functools
import signal
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.airflow_processes import uninterrupted
from deploy.make_env import write_env
from deploy.native.airflow_client import StackAirflow
from deploy.native.compose import read_compose, read_env, referenced_variables, with_dependencies
from deploy.native.errors import StackError
from deploy.native.images import REPOSITORY, STORES
from deploy.native.launches import Planner
from deploy.native.lock import HomeLock
from deploy.native.ports import Ports
from deploy.native.process import Process, stop
from deploy.native.starting import Tell, start_all, wait_until_healthy

COMPOSE_FILE = REPOSITORY / "docker-compose.yaml"
#: How long a service may take until it is healthy.
START_SECONDS = 300
#: The service of which there may be several.
_WORKER = "worker"
#: The service whose variables are those that all of Airflow's services have, and no others.
_PLAIN = "dag-processor"


def _say(line: str) -> None:
    sys.stderr.write(f"  {line}\n")


class Stack:
    """The services of the compose file as processes of this machine, all on 127.0.0.1.

    Args:
        home: Folder that everything goes below: ``.env``, volumes, logs; one that a stack had before is taken on.
        services: Which services, with all that they need; None: those without a profile, and those of a profile that
            COMPOSE_PROFILES names.
        workers: How many Celery workers.
        environment: Variables: those that the compose file asks ``.env`` for, and others for the services that run
            Nightglass.
        tell: Is told a line for each service that is up.

    Raises:
        StackError: The file holds something that cannot be done here, or another stack has the home.
    """

    def __init__(
        self,
        home: Path,
        *,
        services: Collection[str] | None = None,
        workers: int = 2,
        environment: Mapping[str, str] | None = None,
        tell: Tell = _say,
    ) -> None:
        self.home, self._tell = home.absolute(), tell
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = HomeLock(self.home)
        ports = Ports(self.home / "ports.json")
        asked, extra = _route(environment or {})
        self.secrets = {**_read_secrets(self.home / ".env"), **_addresses(ports, asked), **asked}
        found = read_compose(COMPOSE_FILE, self.secrets)
        planner = Planner(self.home, found, ports, extra)
        active = set(self.secrets.get("COMPOSE_PROFILES", "").split(","))
        wanted = [name for name, service in found.items() if not service.profiles or service.profiles & active]
        names = with_dependencies(found, wanted if services is None else services)
        self._groups = {
            name: [
                Process(planner.plan(found[name], number), self._lock.descriptor)
                for number in (range(1, workers + 1) if name == _WORKER else [None])
            ]
            for name in names
        }
        self._needs = {name: found[name].depends_on for name in names}
        self._seen = planner.plan(found[_PLAIN]).environment
        planner.check_ports()
        self.processes = {process.name: process for group in self._groups.values() for process in group}
        self.url = f"http://127.0.0.1:{ports.of('api-server', 8080)}"
        self.s3_endpoint = f"http://127.0.0.1:{ports.of('seaweedfs', 8333)}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the stack sees of it: addresses and secrets of results, S3, MLflow and Airflow."""
        return {name: value for name, value in self._seen.items() if name not in {"PATH", "LANG", "HOSTNAME", "HOME"}}

    @functools.cached_property
    def airflow(self) -> StackAirflow:
        """The REST API as the user admin."""
        return self.airflow_as("admin")

    def airflow_as(self, user: str) -> StackAirflow:
        """Return the REST API as admin, operator or analyst, signed in."""
        password = self.secrets[f"{user.upper()}_PASSWORD"]
        client = StackAirflow(self.home / "logs", self.url, user, password, self.check_alive)
        client.log_in()
        return client

    def start(self) -> None:
        """Start every service and wait until all are healthy.

        Raises:
            StackError: One is not; its line names the service and its log. What was started still runs.
        """
        for process in self.processes.values():
            process.launch.log.unlink(missing_ok=True)
        began = time.monotonic()
        start_all(self._groups, self._needs, seconds=START_SECONDS, tell=self._tell)
        self._tell(f"all {len(self.processes)} processes: {time.monotonic() - began:.1f} s")

    def stop(self) -> None:
        """End everything: first what uses the stores, then the stores; nothing of it is left, and the home is free."""
        with uninterrupted():
            stop(process for process in self.processes.values() if process.launch.service.image not in STORES)
            stop(process for process in self.processes.values() if process.launch.service.image in STORES)
            self._lock.release()

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to every process of a service, as :meth:`Process.kill` does; nobody starts it again."""
        self._process(name).kill(sign)

    def restart(self, name: str) -> None:
        """Stop a service, if it runs, start it again and wait until it is healthy.

        Raises:
            StackError: It is not healthy in time, or failed, where it does its work and ends.
        """
        process = self._process(name)
        process.restart()
        wait_until_healthy(process, START_SECONDS)

    def check_alive(self) -> None:
        """Raise a StackError when a service has ended by itself."""
        for process in self.processes.values():
            if not process.launch.service.is_one_shot and not process.is_running:
                raise StackError(
                    f"{process.name}: expected to be running, got exit code {process.exit_code};"
                    f" see {process.launch.log}"
                )

    def _process(self, name: str) -> Process:
        if name not in self.processes:
            raise StackError(f"expected one of {', '.join(self.processes)}, got {name}")
        return self.processes[name]


@contextmanager
def running_stack(
    home: Path,
    *,
    services: Collection[str] | None = None,
    workers: int = 2,
    environment: Mapping[str, str] | None = None,
    tell: Tell = _say,
) -> Iterator[Stack]:
    """Run the stack for the block; at its end, however it ends, no process of it is left.

    Arguments and errors are those of :class:`Stack`.
    """
    stack = Stack(home, services=services, workers=workers, environment=environment, tell=tell)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def _route(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that the compose file asks for, and the others."""
    asked = referenced_variables(COMPOSE_FILE) | {"COMPOSE_PROFILES"}
    return (
        {name: value for name, value in environment.items() if name in asked},
        {name: value for name, value in environment.items() if name not in asked},
    )


def _read_secrets(path: Path) -> dict[str, str]:
    if not path.exists():
        write_env(path)
    return read_env(path)


def _addresses(ports: Ports, asked: Mapping[str, str]) -> dict[str, str]:
    ui = asked.get("UI_PORT") or str(ports.of("published", 8080))
    grafana = asked.get("GRAFANA_PORT") or str(ports.of("published", 3000))
    return {"UI_PORT": ui, "UI_URL": f"http://127.0.0.1:{ui}", "GRAFANA_PORT": grafana}
