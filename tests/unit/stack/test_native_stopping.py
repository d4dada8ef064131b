"""What may happen while everything is stopped, and must leave nothing running."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = """
import os, signal, sys
from demo.airflow_processes import exit_on_signals, uninterrupted
exit_on_signals()
with uninterrupted():
    os.kill(os.getpid(), signal.Signals[sys.argv[1]])
    print("stopped everything", flush=True)
os.kill(os.getpid(), signal.Signals[sys.argv[1]])
print("went on", flush=True)
"""


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_second_signal_does_not_interrupt_the_stopping(sign: str) -> None:
    # A terminal that is closed sends two: the shell's and the kernel's.
    command = [sys.executable, "-c", SCRIPT, sign]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.stdout == "stopped everything\n"
    assert done.returncode != 0
