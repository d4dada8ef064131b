"""Start services as depends_on says: each as soon as what it needs is healthy or done, as many at once as may be."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from deploy.native.errors import StackError
from deploy.native.process import Process

#: Airflow's own checks import all of Airflow: more at once would only slow down what they wait for.
_CHECKS_AT_ONCE = 2
_POLL_SECONDS = 0.1
_LAST_LINE_CHARACTERS = 200

Tell = Callable[[str], None]


class _Check:
    """The health of one process, looked at again and again without waiting for it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.started = time.monotonic()
        self._running: subprocess.Popen[bytes] | None = None
        self._since = self._next = self.started

    @property
    def is_looking(self) -> bool:
        return self._running is not None

    def look(self, *, may_begin: bool) -> bool:
        """Return whether it is healthy by now; begin to look anew where enough time has gone by."""
        now, check = time.monotonic(), self.process.launch.service.check
        if self._running is None:
            if may_begin and now >= self._next:
                self._running, self._since = self.process.check(), now
            return False
        code = self._running.poll()
        if code is None and check and now - self._since > check.timeout_seconds:
            self.give_up()
        if code is not None:
            self._running = None
        # A look that took long is not taken again at once.
        self._next = now + max(0.3, now - self._since)
        return code == 0

    def give_up(self) -> None:
        """End a look that is under way."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._running.wait()
            self._running = None


def start_all(
    groups: Mapping[str, Sequence[Process]], needs: Mapping[str, Mapping[str, str]], *, seconds: float, tell: Tell
) -> None:
    """Start all services and wait until each is healthy, or done where it does its work and ends.

    Args:
        groups: The processes of each service.
        needs: The services that each service needs, with compose's condition.
        seconds: How long a service may take.
        tell: Is told a line for each process.

    Raises:
        StackError: A process ended, or was not healthy in time; the line names it and its log.
    """
    ready: set[str] = set()
    checks: dict[str, _Check] = {}
    try:
        while not all(_is_done(service, groups, ready) for service in groups):
            for service, processes in groups.items():
                if processes[0].name not in checks and all(_is_done(other, groups, ready) for other in needs[service]):
                    for process in processes:
                        process.start()
                        checks[process.name] = _Check(process)
            for name in sorted(checks.keys() - ready):
                looking = sum(check.is_looking for check in checks.values())
                if _is_ready(checks[name], may_begin=looking < _CHECKS_AT_ONCE, seconds=seconds):
                    ready.add(name)
                    tell(f"{name}: {time.monotonic() - checks[name].started:.1f} s")
            time.sleep(_POLL_SECONDS)
    finally:
        for check in checks.values():
            check.give_up()


def wait_until_healthy(process: Process, seconds: float) -> None:
    """Wait until a process that was started again is healthy.

    Raises:
        StackError: It ended, or was not healthy in time.
    """
    check = _Check(process)
    try:
        while not _is_ready(check, may_begin=True, seconds=seconds):
            time.sleep(_POLL_SECONDS)
    finally:
        check.give_up()


def _is_done(service: str, groups: Mapping[str, Sequence[Process]], ready: Collection[str]) -> bool:
    return all(process.name in ready for process in groups[service])


def _is_ready(check: _Check, *, may_begin: bool, seconds: float) -> bool:
    process = check.process
    is_one_shot = process.launch.service.is_one_shot
    code = process.exit_code
    if code is not None and not (is_one_shot and code == 0):
        raise StackError(f"{process.name}: expected success, got exit code {code}{_why(process)}")
    if is_one_shot or process.launch.check is None:
        is_ready = not is_one_shot or code == 0
    else:
        is_ready = check.look(may_begin=may_begin)
    if not is_ready and time.monotonic() - check.started > seconds:
        raise StackError(f"{process.name}: expected to be healthy within {seconds:g} s, got none{_why(process)}")
    return is_ready


def _why(process: Process) -> str:
    log = process.launch.log
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f" ({lines[-1].strip()[:_LAST_LINE_CHARACTERS]})" if lines else ""
    return f"{last}; see {log}"
