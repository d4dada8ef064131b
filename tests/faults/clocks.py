"""Wall clocks of single processes that a test can set, as a time server sets that of a machine."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.native import Stack

#: What runs Airflow's tasks and looks after them.
SERVICES = ("api-server", "scheduler", "worker-1", "worker-2")


@dataclass(frozen=True)
class Clocks:
    """The clocks of `SERVICES`; `folder` holds a file for each with the seconds that it is ahead."""

    folder: Path

    @classmethod
    def give(cls, stack: Stack, folder: Path) -> "Clocks | None":
        """Give the services of a stack, before it starts, clocks of their own; None without a C compiler."""
        library, source = folder / "clock.so", Path(__file__).with_name("clock.c")
        try:
            done = subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=False)
        except FileNotFoundError:
            return None
        if done.returncode:
            return None
        for name in SERVICES:
            environment = stack.processes[name].launch.environment
            assert isinstance(environment, dict)  # which the process has not been started with yet
            environment.update({"LD_PRELOAD": str(library), "FAULT_CLOCK": str(folder / name)})
        clocks = cls(folder)
        clocks.set(0)
        return clocks

    def set(self, seconds: int, *names: str) -> None:
        """Set some clocks, or all of them, so many seconds ahead of the machine's."""
        for name in names or SERVICES:
            (self.folder / name).write_text(str(seconds))
