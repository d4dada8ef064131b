"""The environments of the peers: made when they are first needed, below ``NIGHTGLASS_HOME/bench``."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.common import REPOSITORY, BenchmarkError, bench_home

_FOLDER = Path(__file__).resolve().parent
_STAMP = ".requirements.sha256"


def peer_python(peer: str) -> Path:
    """Return the Python of ``peer``'s environment, which is made anew when its requirements have changed.

    Raises:
        BenchmarkError: Its packages cannot be installed.
    """
    requirements = _FOLDER / f"requirements-{peer}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    home = bench_home() / f"peers-{peer}"
    stamp = home / _STAMP
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
        print(f"Installing {peer} into {home} (once; some minutes)", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin/python"), "-m", "pip", "install", "-qq", "-r", str(requirements)])
        stamp.write_text(wanted, encoding="ascii")
    return home / "bin/python"


def peer_environment() -> dict[str, str]:
    """Return the environment variables of a peer's process: nothing is reported to anybody, nothing is looked up."""
    return os.environ | {
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'include'}",
        "SENTRY_OPT_OUT": "1",  # fastdup's telemetry
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise BenchmarkError(f"{' '.join(command)}: expected exit code 0, got {done.returncode}: {last}")
