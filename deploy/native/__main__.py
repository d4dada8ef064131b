"""`make stack`: the services of docker-compose.yaml on this machine, without Docker, until Ctrl-C."""

import os
import sys
import time

from demo.airflow_processes import AirflowError, exit_on_signals, is_free
from deploy.native import StackError, running_stack
from nightglass.errors import NightglassError
from nightglass.settings import read_settings


def main() -> None:
    """Start everything, print where it is, and wait.

    Raises:
        StackError: Something did not start, or ended by itself.
    """
    home = read_settings().home / "stack"
    port = int(os.environ.get("PORT", "8080"))
    if not is_free(port):
        raise StackError(f"expected port {port} to be free, got one in use; choose another: make stack PORT=8081")
    sys.stdout.write(f"Starting the services of docker-compose.yaml below {home}\n")
    sys.stdout.flush()
    with running_stack(home, environment=_settings(port)) as stack:
        names = ", ".join(name for name in stack.processes if name != "airflow-init")
        sys.stdout.write(
            f"\n  Airflow   {stack.url}\n"
            f"  Users     admin, operator, analyst; their passwords are in {home / '.env'}\n"
            f"  Logs      {home / 'logs'}\n"
            f"  Running   {names}\n\n"
            "Ctrl-C stops it. DAGs are paused until you switch them on.\n"
        )
        sys.stdout.flush()
        while True:
            stack.check_alive()
            time.sleep(1)


def _settings(port: int) -> dict[str, str]:
    """Return the port, and what the person who starts it has set for Nightglass and Airflow."""
    passed = ("NIGHTGLASS_COLLECTIONS_DIR", "NIGHTGLASS_ALERT_URLS", "COMPOSE_PROFILES")
    return {"UI_PORT": str(port), **{name: os.environ[name] for name in passed if name in os.environ}}


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped; nothing is left running\n")
    except (StackError, AirflowError, NightglassError, OSError, ValueError) as error:
        sys.exit(f"stack: {error}")
