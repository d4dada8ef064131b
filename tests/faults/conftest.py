"""One stack for all faults: nights of the same images, one of them undisturbed; each fault is mended by who made it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.native import Stack

from tests.conftest import Webhook, write_panels
from tests.faults.clocks import Clocks
from tests.faults.comparison import Left, assert_same
from tests.faults.s3_proxy import S3Proxy
from tests.faults.site import COLLECTION, DEFECTS, IMAGES, NIGHT, QUICK, SHARD_SIZE, TEMPORARY, Keeper, Night, Site

FAULTS = (
    "calm", "worker-killed", "scheduler-killed", "task-killed", "out-of-memory", "redis-away", "postgres-restarted",
    "s3-refusing", "s3-slow", "s3-cutting", "mlflow-down", "disk-full", "clock-jump", "twice", "node-back",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test the time that the stack needs to start beside other work."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def small_temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bool]]:
    """The stack's home, and whether the place of its temporary files is a small disk, which only root may mount."""
    home = tmp_path_factory.mktemp("faults") / "home"
    disk = home / TEMPORARY
    disk.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "tmpfs", disk], check=False)
    yield home, done.returncode == 0
    if done.returncode == 0:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture(scope="session")
def site(
    small_temporary: tuple[Path, bool], tmp_path_factory: pytest.TempPathFactory, webhook: Webhook
) -> Iterator[Site]:
    """The stack with a champion and a collection for every fault."""
    home, _ = small_temporary
    collections = tmp_path_factory.mktemp("collections")
    for name in FAULTS:
        (collections / f"{name}.yaml").write_text(COLLECTION)
    with S3Proxy("") as proxy:
        own = {
            "NIGHTGLASS_COLLECTIONS_DIR": str(collections),
            "NIGHTGLASS_ALERT_URLS": webhook.url,
            "SCORING_SLOTS": "2",
            "AWS_ENDPOINT_URL_S3": proxy.endpoint,
        }
        stack = Stack(home, environment=own | QUICK)
        proxy.target = stack.s3_endpoint
        keeper = Keeper(stack)
        clocks = Clocks.give(stack, tmp_path_factory.mktemp("clocks"))
        try:
            stack.start()
            keeper.start()
            site = Site(stack, proxy, keeper, webhook, clocks)
            _prepare(site, tmp_path_factory.mktemp("drawn"))
            yield site
        finally:
            if keeper.is_alive():
                keeper.end()
            stack.stop()


def _prepare(site: Site, drawn: Path) -> None:
    good = write_panels(drawn / "good", range(60))
    file = site.collections / "calm.yaml"
    site.nightglass("fit", "--images", good, "--out", drawn / "detector", "--collection", file, "--register")
    night = write_panels(drawn / NIGHT, range(1000, 1000 + IMAGES - 1), defects=DEFECTS)
    (night / "unreadable.png").write_bytes(b"no picture")
    site.file_system().put(str(night), f"nightglass/images/{NIGHT}", recursive=True)
    site.names = sorted(path.name for path in night.iterdir())
    for name in FAULTS:
        site.stack.airflow.wait_for_dag(f"nightly_{name}", 180)


@pytest.fixture(scope="session")
def undisturbed(site: Site) -> Left:
    """What a night leaves that nothing happened to."""
    night = Night(site, "calm")
    night.trigger()
    night.finish()
    left = site.left("calm")
    left.check()
    assert len(left.scores) == IMAGES - 1
    assert [row["path"] for row in left.quarantine] == ["unreadable.png"]
    assert left.rows["nights"][0]["decision"] == "retrain"
    return left


@pytest.fixture
def night(site: Site, undisturbed: Left, request: pytest.FixtureRequest) -> Iterator[Night]:
    """A night to disturb, of the collection that is named as the test is."""
    night = Night(site, request.node.name.removeprefix("test_").replace("_", "-"))
    assert night.collection in FAULTS
    yield night
    _restore(site)


def _restore(site: Site) -> None:
    """Wait until every service that a fault has ended is back."""
    for process in site.stack.processes.values():
        if not process.launch.service.is_one_shot:
            Night(site, process.name).wait("to be running", lambda process=process: process.is_running, 60)


@pytest.fixture
def compare(site: Site, undisturbed: Left) -> Callable[[Night], None]:
    """Compare a night with the undisturbed one, row by row, and look for what is doubled or left behind."""

    def check(night: Night) -> None:
        name = night.collection
        assert_same(site.left(name), undisturbed)
        (run,), (calm,) = site.runs_of_mlflow(name), site.runs_of_mlflow("calm")
        assert run == calm
        assert len(site.alerts(name)) == 1, site.webhook.messages
        assert len(site.requests(name)) == 1
        assert not site.uploads()

    return check


@pytest.fixture
def clocks(site: Site) -> Iterator[Clocks]:
    """The clocks of what runs Airflow; they are right again after the test."""
    if site.clocks is None:
        pytest.skip("a C compiler is needed to set the clock of some processes only")
    yield site.clocks
    site.clocks.set(0)


@pytest.fixture
def in_the_middle(site: Site) -> Callable[[Night], Iterator[int]]:
    """Give a block in which some shards of a night are scored and one stands in its middle; give that one's process.

    The one waits for an image that the proxy holds back.
    """

    @contextmanager
    def middle(night: Night) -> Iterator[int]:
        night.wait_for("validate_images", "success")
        image = site.names[2 * SHARD_SIZE + SHARD_SIZE // 2]
        with site.proxy.weather(hold=rf"^GET /nightglass/images/{NIGHT}/{image}"):
            assert site.proxy.held.wait(240), "no shard came to its middle"
            night.wait("another shard", lambda: any(t["state"] == "success" for t in night.tasks("score_shard")))
            (task,) = [task for task in night.tasks("score_shard") if task["map_index"] == 2]
            yield int(task["pid"])

    return middle
