import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightglass.maintenance.hold import holding
from nightglass.store import Store
from nightglass.store.upkeep import CollectionInWorkError

pytestmark = pytest.mark.integration
HOLD = """
import sys
from pathlib import Path
from nightglass.maintenance.hold import holding
from nightglass.store import Store

with Store.connect(sys.argv[1], Path(sys.argv[2])) as store, holding(store, "line", "maintenance"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/nightglass.db"


@pytest.fixture
def store(url: str, sql_dir: Path) -> Iterator[Store]:
    with Store.connect(url, sql_dir) as store:
        store.migrate()
        yield store


def test_the_same_work_is_done_by_one_process_and_goes_on_once_that_is_dead(
    store: Store, url: str, sql_dir: Path
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, url, str(sql_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(CollectionInWorkError, match=f"got maintenance, process {other.pid} on "),
            holding(store, "line", "maintenance"),
        ):
            pass
    finally:
        other.kill()
        other.communicate()
    with holding(store, "line", "maintenance"):
        pass


def test_what_died_on_another_machine_is_waited_for(store: Store) -> None:
    with store.upkeep._database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO maintenance_leases VALUES ('line', 'maintenance, process 1 on elsewhere', "
            "'2999-01-01T00:00:00.000000Z')"
        )
    with pytest.raises(CollectionInWorkError, match="process 1 on elsewhere"), holding(store, "line", "maintenance"):
        pass
