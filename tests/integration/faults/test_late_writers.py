"""A worker that was given up for dead comes back while its task was tried again elsewhere: two writers of one night."""

import threading
from collections.abc import Callable
from typing import Any, Self

import pytest

from nightglass.errors import NightglassError, StorageError
from nightglass.storage import open_folder
from tests.faults.comparison import Left, assert_same
from tests.faults.s3_proxy import S3Proxy
from tests.integration.faults.conftest import NIGHT, Line

pytestmark = pytest.mark.integration
MakeLine = Callable[..., Line]


class Vanished(threading.Thread):
    """A task on a node whose requests for ``hold`` go nowhere until it comes back."""

    def __init__(self, proxy: S3Proxy, hold: str, task: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._proxy, self._hold, self._task = proxy, hold, task
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._task()
        except NightglassError as error:
            self.error = error

    def __enter__(self) -> Self:
        self._weather = self._proxy.weather(hold=self._hold)
        self._weather.__enter__()
        self.start()
        assert self._proxy.held.wait(120), f"nothing asked for {self._hold}: {self._proxy.requests[-5:]}"
        return self

    def __exit__(self, *error: object) -> None:
        self._weather.__exit__(*error)
        self.join(120)
        assert not self.is_alive()


def test_a_shard_that_comes_after_the_night_was_published_is_tidied_up(
    make_line: MakeLine, proxy: S3Proxy, undisturbed: Left
) -> None:
    line = make_line("late-shard")
    late = line.through(proxy.endpoint, read_timeout=300)
    plan = line.list_images()
    shards = line.validate(plan)
    with Vanished(proxy, r"^PUT .*00001\.parquet", lambda: late.score(plan, 1)) as vanished:
        for shard in shards:
            line.score(plan, shard)
        line.assess(plan)
        line.publish(plan)
    assert vanished.error is None
    assert_same(line.left(), undisturbed)


@pytest.mark.parametrize(
    ("step", "hold"),
    [
        ("merging", r"^PUT .*scores\.parquet"),
        ("explaining", r"^PUT .*anomaly_maps"),
        ("replacing", r"^PUT .*/nights/[^.]*/scores\.parquet"),
        ("summing-up", r"^PUT .*/nights/[^.]*/summary\.json"),
        ("judging", r"^PUT .*/nights/[^.]*/assessment\.json"),
    ],
)
def test_an_assessment_that_comes_after_the_night_was_published_takes_nothing_away(
    make_line: MakeLine, proxy: S3Proxy, undisturbed: Left, step: str, hold: str
) -> None:
    line = make_line(f"late-{step}")
    late = line.through(proxy.endpoint, read_timeout=300)
    plan = line.list_images()
    for shard in line.validate(plan):
        line.score(plan, shard)
    with Vanished(proxy, hold, lambda: late.assess(plan)):
        line.assess(plan)
        line.publish(plan)
        before = line.left()
    assert_same(line.left(), undisturbed)
    assert line.left() == before


def test_a_list_that_comes_late_and_has_seen_fewer_images_forgets_nothing(
    make_line: MakeLine, proxy: S3Proxy, undisturbed: Left, s3_server: Any
) -> None:
    line = make_line("late-list")
    elsewhere = f"{s3_server.make_bucket('arriving')}/{NIGHT}"
    store = s3_server.file_system()
    images = f"{line.file.read_text().split('s3://')[1].split('/')[0]}/images/{NIGHT}"
    names = [path.rsplit("/", 1)[1] for path in store.ls(images, detail=False)]
    for name in names[:-5]:
        store.copy(f"{images}/{name}", f"{elsewhere}/{name}")
    late = line.through(proxy.endpoint, read_timeout=300)
    url = f"s3://{elsewhere}"
    with Vanished(proxy, rf"^GET .*{names[3]}", lambda: late.list_images(images_url=url)) as vanished:
        for name in names[-5:]:
            store.copy(f"{images}/{name}", f"{elsewhere}/{name}")
        line.run(images_url=url)
    assert isinstance(vanished.error, StorageError)
    assert "expected to be the only one that lists the night" in str(vanished.error)
    found = line.left()
    found.check()
    assert found.scores == undisturbed.scores


def test_a_night_that_is_published_twice_at_once_is_published_once(
    make_line: MakeLine, undisturbed: Left, webhook: Any
) -> None:
    line = make_line("twice", (webhook.url,))
    plan = line.list_images()
    for shard in line.validate(plan):
        line.score(plan, shard)
    line.assess(plan)
    together, failures = threading.Barrier(3), []

    def publish() -> None:
        together.wait()
        try:
            line.publish(plan)
        except NightglassError as error:
            failures.append(error)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert_same(line.left(), undisturbed)
    assert len(webhook.about(f"{line.name} {NIGHT}")) == 1


def test_a_reader_of_a_table_never_sees_two_versions_of_it(s3_server: Any, proxy: S3Proxy) -> None:
    import pyarrow as pa

    bucket = s3_server.make_bucket()
    options = s3_server.storage_options
    folder = open_folder(f"s3://{bucket}/x", options)
    slow = open_folder(f"s3://{bucket}/x", options | {"client_kwargs": {"endpoint_url": proxy.endpoint}})
    tables = [pa.table({"a": list(range(n)), "b": ["x" * 50] * n}) for n in (30_000, 50_000)]
    folder.write_table("t.parquet", tables[0])
    found = []
    with proxy.weather(bytes_per_second=2e5):
        reader = threading.Thread(target=lambda: found.append(slow.read_table("t.parquet")))
        reader.start()
        for _ in range(20):
            for table in tables:
                folder.write_table("t.parquet", table)
        reader.join(60)
    assert any(found[0].equals(table) for table in tables)
