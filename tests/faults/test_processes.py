"""Processes that die in the middle of a night: worker, scheduler, task; and a node that vanishes and comes back."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import Night, Site

pytestmark = pytest.mark.e2e
Compare = Callable[[Night], None]
_LITTLE = 64 << 10


def test_worker_killed(night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night) as pid:
        night.service_of(pid).kill()
    night.finish()
    compare(night)


def test_scheduler_killed(site: Site, night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night), site.keeper.away("scheduler"):
        time.sleep(5)
    night.finish()
    compare(night)


def test_task_killed(night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night) as pid:
        os.kill(pid, signal.SIGKILL)
    night.finish()
    compare(night)


@pytest.fixture
def memory_group() -> Iterator[Callable[[int], None]]:
    """Give a process a control group of its own, in which there is next to no memory left: the kernel kills it."""
    old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    group = (old if old.is_dir() else new) / f"nightglass-faults-{os.getpid()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if old.is_dir() else "memory.max")
        limit.write_text(str(_LITTLE))
    except OSError:
        with suppress(OSError):
            group.rmdir()
        pytest.skip("only who may make control groups can let the kernel kill a process for its memory")

    def confine(pid: int) -> None:
        (group / "cgroup.procs").write_text(str(pid))

    yield confine
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.2)
        else:
            return


def test_out_of_memory(night: Night, compare: Compare, in_the_middle: Any, memory_group: Callable[[int], None]) -> None:
    night.trigger()
    with in_the_middle(night) as pid:
        memory_group(pid)
    night.wait("the kernel to kill it", lambda: not Path(f"/proc/{pid}").exists())
    night.finish()
    (task,) = [task for task in night.tasks("score_shard") if task["map_index"] == 2]
    assert task["try_number"] > 1
    compare(night)


def test_node_back(site: Site, night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night) as pid:
        node = night.service_of(pid)
        node.kill(signal.SIGSTOP)
    try:
        night.finish()
    finally:
        node.kill(signal.SIGCONT)
    # It writes what it stood in, or is told that its task is another's by now; either way the task ends.
    night.wait("the late task to end", lambda: not Path(f"/proc/{pid}").exists(), 120)
    compare(night)


def test_twice(night: Night, compare: Compare) -> None:
    runs = [night.trigger(), night.trigger()]
    assert runs[0] != runs[1]
    for run_id in runs:
        night.finish(run_id)
    compare(night)
