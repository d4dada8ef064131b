"""What the entrypoint of PostgreSQL's image does: make the database's files at the first start, and not run as root."""

import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.native.errors import StackError
from deploy.native.images import postgres_programs
from deploy.native.places import Places

IMAGE = "postgres"
_DATA = "/var/lib/postgresql/data"


def user() -> dict[str, Any]:
    """Return who runs the server, as arguments of Popen: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    found = pwd.getpwnam("nobody")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def arguments(places: Places, port: int) -> list[str]:
    """Return what the server must be told that its image knows."""
    # No socket file: everything talks over TCP, and the path of a socket may have no more than 107 characters.
    settings = (f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
    return ["-D", str(places.folders[_DATA]), *(word for setting in settings for word in ("-c", setting))]


def prepare(places: Places, environment: Mapping[str, str]) -> None:
    """Make the database's files where there are none.

    Args:
        places: Where they go.
        environment: POSTGRES_PASSWORD, the superuser's, and POSTGRES_INITDB_ARGS.

    Raises:
        StackError: They could not be made.
    """
    data, owner = places.folders[_DATA], user()
    if owner:
        _open_way(data)
        shutil.chown(data, owner["user"])
        _open_way(postgres_programs())
    if (data / "PG_VERSION").exists():
        return
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as password:
        password.write(environment["POSTGRES_PASSWORD"])
        password.flush()
        if owner:
            shutil.chown(password.name, owner["user"])
        command = [str(postgres_programs() / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password.name}"]
        command += ["--encoding=UTF8", "--no-sync", *shlex.split(environment.get("POSTGRES_INITDB_ARGS", ""))]
        done = subprocess.run(  # noqa: S603  our own command line
            command, env=dict(environment), cwd=data, capture_output=True, text=True, check=False, **owner
        )
    if done.returncode:
        raise StackError(f"postgres: expected initdb to succeed, got {done.stderr.strip()[-300:]}")


def _open_way(folder: Path) -> None:
    """Let everybody pass through the folders above, but not look into them."""
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
