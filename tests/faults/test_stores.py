"""Stores that are away, restart, refuse, are slow or cut connections in the middle of a night."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clocks import Clocks
from tests.faults.full_disk import fill
from tests.faults.site import HEARTBEAT_TIMEOUT, TEMPORARY, Night, Site

pytestmark = pytest.mark.e2e
Compare = Callable[[Night], None]


def test_redis_away(site: Site, night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night):
        pass
    with site.keeper.away("redis"):
        time.sleep(20)
    night.finish()
    compare(night)


def test_postgres_restarted(site: Site, night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night):
        site.keeper.restart("postgres")
    night.finish()
    compare(night)


def test_s3_refusing(site: Site, night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night):
        pass
    with site.proxy.weather(refuses=True):
        night.wait_for("score_shard", "up_for_retry")
    with site.proxy.weather(overloaded=True):
        time.sleep(10)
    night.finish()
    compare(night)


def test_s3_slow(site: Site, night: Night, compare: Compare) -> None:
    night.trigger()
    night.wait_for("validate_images", "success")
    with site.proxy.weather(bytes_per_second=60_000):
        night.finish()
    compare(night)


def test_s3_cutting(site: Site, night: Night, compare: Compare) -> None:
    night.trigger()
    night.wait_for("validate_images", "success")
    before = site.proxy.cut
    with site.proxy.weather(cut_every=3, cut_after=20_000, cuts="download"):
        night.wait_for("assess_night", "running", "success", "up_for_retry")
    with site.proxy.weather(cut_every=3, cut_after=20_000, cuts="upload"):
        night.finish()
    assert site.proxy.cut > before
    compare(night)


def test_mlflow_down(site: Site, night: Night, compare: Compare, in_the_middle: Any) -> None:
    night.trigger()
    with in_the_middle(night):
        pass
    with site.keeper.away("mlflow"):
        night.wait_for("publish_night", "up_for_retry")
    night.finish()
    compare(night)


@pytest.fixture
def temporary(site: Site, small_temporary: tuple[Path, bool]) -> Path:
    home, is_small = small_temporary
    if not is_small:
        pytest.skip("only root may mount the small file system that this test needs")
    return home / TEMPORARY


def test_disk_full(night: Night, compare: Compare, in_the_middle: Any, temporary: Path) -> None:
    night.trigger()
    with in_the_middle(night):
        filler = fill(temporary)
    try:
        night.wait_for("score_shard", "up_for_retry")
    finally:
        filler.unlink()
    night.finish()
    compare(night)
    assert not [path.name for path in temporary.iterdir() if path.name.startswith("nightglass-")]


def test_clock_jump(night: Night, compare: Compare, in_the_middle: Any, clocks: Clocks) -> None:
    night.trigger()
    with in_the_middle(night):
        # The scheduler's first: all heartbeats are old at once, and the task is taken for dead while it runs.
        clocks.set(6 * HEARTBEAT_TIMEOUT, "scheduler")
        night.wait("the end of the first try", lambda: all(t["state"] != "running" for t in night.tasks("score_shard")))
        clocks.set(6 * HEARTBEAT_TIMEOUT)
        night.wait("another try", lambda: any(task["try_number"] > 1 for task in night.tasks("score_shard")))
    clocks.set(0)
    night.finish()
    compare(night)
