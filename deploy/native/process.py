"""One service's process on this machine, with all that it starts: started, looked at, killed, stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from deploy.native.errors import StackError
from deploy.native.launches import Launch

#: How each image wants to be asked to end, where that is not SIGTERM: PostgreSQL would wait for its clients.
_STOP_SIGNALS = {"postgres": signal.SIGINT}


class Process:
    """A service that runs natively; a session of its own holds everything that it starts, as a container would.

    Args:
        launch: What is started.
        lock: Descriptor that keeps the stack's home for as long as the service lives.
    """

    def __init__(self, launch: Launch, lock: int) -> None:
        self.launch, self._lock = launch, lock
        self._child: subprocess.Popen[bytes] | None = None
        # Sessions that may have something in them: the number of the process that leads each, and when it was started.
        self._sessions: dict[int, str | None] = {}

    @property
    def name(self) -> str:
        """Name of the service, with a number where there are several."""
        return self.launch.name

    @property
    def pid(self) -> int:
        """The process that leads the service.

        Raises:
            StackError: It was not started.
        """
        if self._child is None:
            raise StackError(f"{self.name}: expected to be running, got never started")
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """How the leading process ended; None while it runs."""
        if self._child is None:
            return None
        if self._child.returncode is None and self._child.poll() is not None:
            # From now on its number may be given to somebody else's process: forget the session, if nothing is left.
            self.members()
        return self._child.returncode

    @property
    def is_running(self) -> bool:
        """Whether the leading process runs."""
        return self._child is not None and self.exit_code is None

    def start(self) -> None:
        """Start it; what it writes is added to its log.

        Raises:
            StackError: It runs already.
        """
        if self.is_running:
            raise StackError(f"{self.name}: expected not to be running, got process {self.pid}")
        self.launch.prepare()
        self.launch.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.launch.log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603  the compose file's own command
                self.launch.command,
                cwd=self.launch.folder,
                env=dict(self.launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[self._lock],
                **self.launch.user,
            )
        self._sessions[self._child.pid] = _start_of(self._child.pid)

    def members(self) -> list[psutil.Process]:
        """Return all processes of the service; some may be left when the leading one is dead."""
        found: dict[int, psutil.Process] = {}
        sessions = {pid: _session_of(pid) for pid in psutil.pids()}
        for number, started in list(self._sessions.items()):
            leader = _start_of(number)
            session = [pid for pid, its_session in sessions.items() if its_session == number]
            if not session or leader not in {None, started}:
                # All have ended, and the number may have gone to another's process.
                del self._sessions[number]
                continue
            for pid in session:
                with suppress(psutil.NoSuchProcess):
                    found[pid] = psutil.Process(pid)
                    # PostgreSQL's helpers have sessions of their own; they end with it.
                    if pid == number:
                        found |= {child.pid: child for child in psutil.Process(pid).children(recursive=True)}
        return list(found.values())

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to every process of the service: with SIGKILL, what becomes of a container that is killed.

        SIGSTOP and SIGCONT make it vanish from the network and come back.
        """
        for member in self.members():
            with suppress(psutil.NoSuchProcess):
                member.send_signal(sign)
        if sign == signal.SIGKILL and self._child is not None:
            self._child.wait()
            self.members()

    def restart(self, patience: float = 10) -> None:
        """Stop it, if it runs, and start it again; it may take a while to be healthy."""
        stop([self], patience)
        self.start()

    def check(self) -> subprocess.Popen[bytes]:
        """Start its health check, in a process group of its own; exit code 0 is healthy.

        Raises:
            StackError: It has none.
        """
        if self.launch.check is None:
            raise StackError(f"{self.name}: expected a health check in docker-compose.yaml, got none")
        with self.launch.log.with_suffix(".health.log").open("wb") as output:
            return subprocess.Popen(  # noqa: S603  the compose file's own command
                self.launch.check,
                cwd=self.launch.folder,
                env=dict(self.launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ask_to_stop(self) -> None:
        """Ask it to end, as Docker does: only the leading process hears of it; without one, all that is left."""
        if self._child is not None and self.is_running:
            self._child.send_signal(_STOP_SIGNALS.get(self.launch.service.image, signal.SIGTERM))
        else:
            self.kill(signal.SIGTERM)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _start_of(pid: int) -> str | None:
    """Return when a process was started, in the kernel's ticks, which no change of the clock touches."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def stop(processes: Iterable[Process], patience: float = 10) -> None:
    """End services and all that they started: ask, wait, then kill."""
    processes = list(processes)
    for process in processes:
        # What was made to stand still hears nothing else.
        process.kill(signal.SIGCONT)
        process.ask_to_stop()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and any(process.members() for process in processes):
        for process in processes:
            process.exit_code  # noqa: B018  reaps it
        time.sleep(0.1)
    for process in processes:
        process.kill()
