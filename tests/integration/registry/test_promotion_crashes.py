"""Promotions that are killed between every two of their steps, and promotions of several processes at once."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from nightglass.collections import Collection
from nightglass.promotion import promote, reconcile_champion, roll_back
from nightglass.settings import Settings
from nightglass.store import PromotionEvent, Store
from tests.forked import FORKS

pytestmark = pytest.mark.integration

NAME = "nightglass-cells"
AddVersions = Callable[[int], None]
KILL = """
import os, signal, sys
from mlflow import MlflowClient
from sqlalchemy import Engine, event

place = sys.argv[1]
is_written = False

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def write(connection, cursor, statement, *_):
    if place == "before the entry" and "INSERT INTO promotion_log" in statement:
        die()

def written(connection, cursor, statement, *_):
    global is_written
    is_written |= "INSERT INTO promotion_log" in statement

def commit(connection):
    if place == "before its commit" and is_written:
        die()

event.listen(Engine, "before_cursor_execute", write)
event.listen(Engine, "after_cursor_execute", written)
event.listen(Engine, "commit", commit)

def kill_at(name, before, after):
    original = getattr(MlflowClient, name)
    def call(*arguments, **keywords):
        if place == before:
            die()
        result = original(*arguments, **keywords)
        if place == after:
            die()
        return result
    setattr(MlflowClient, name, call)

kill_at("set_registered_model_alias", "before the alias", "after the alias")
kill_at("set_registered_model_tag", "", "after the mark")
"""
ACT = """
from nightglass.collections import Collection
from nightglass.promotion import promote, roll_back
from nightglass.settings import read_settings

def act(name):
    collection, settings = Collection(name="cells", images="/data/{night}"), read_settings()
    if name == "promote":
        return promote(collection, "3", settings, by="ana", reason="gates", run="r3")
    return roll_back(collection, None, settings, by="ana", reason="worse")
"""
PLACES = ["before the entry", "before its commit", "before the alias", "after the alias", "after the mark"]


@pytest.fixture
def results_url(database_url: str) -> str:
    """Once SQLite, once PostgreSQL."""
    return database_url


def start(script: str, settings: Settings, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment(settings),
    )


def environment(settings: Settings) -> dict[str, str]:
    return {
        "NIGHTGLASS_HOME": str(settings.home),
        "NIGHTGLASS_DATABASE_URL": settings.database_url,
        "NIGHTGLASS_SQL_DIR": str(settings.sql_dir),
    }


def kill(settings: Settings, place: str, act: str) -> None:
    killed = FORKS.run(f"{KILL}\n{ACT}\nact(sys.argv[2])", (place, act), environment(settings))
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def read_log(settings: Settings) -> list[PromotionEvent]:
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        return store.promotions_of_model(NAME)


def alias(client: MlflowClient) -> str:
    return str(client.get_registered_model(NAME).aliases["champion"])


@pytest.mark.parametrize(
    ("database_url", "act"),
    [("sqlite", "promote"), ("sqlite", "roll back"), ("postgresql", "promote")],
    indirect=["database_url"],
)
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_change_has_happened_once_or_not_at_all(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions, act: str, place: str
) -> None:
    add_versions(3)
    for version in ("1", "2"):
        promote(collection, version, settings, by="ana", reason="gates", run=f"r{version}")
    wanted = "3" if act == "promote" else "1"
    kill(settings, place, act)

    is_logged = place not in {"before the entry", "before its commit"}
    assert [e.version for e in read_log(settings)] == (["3", "2", "1"] if act == "promote" else ["1", "2", "1"])[
        0 if is_logged else 1 :
    ]
    has_moved = place.startswith("after the")
    assert alias(client) == (wanted if has_moved else "2")

    # The next night comes before anybody tries again: log and alias agree, whatever that is.
    champion = reconcile_champion(collection, settings)
    assert champion is not None
    assert champion.version == alias(client) == (wanted if is_logged else "2")

    if act == "promote":
        again = promote(collection, "3", settings, by="ana", reason="gates", run="r3")
        assert again.is_new is not is_logged
        assert [e.version for e in read_log(settings)] == ["3", "2", "1"]
        assert alias(client) == "3"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("place", ["before its commit", "before the alias", "after the alias"])
def test_the_same_command_after_a_crash_does_not_go_back_twice(
    collection: Collection, settings: Settings, client: MlflowClient, add_versions: AddVersions, place: str
) -> None:
    add_versions(3)
    for version in ("1", "2", "3"):
        promote(collection, version, settings, by="ana", reason="gates", run=f"r{version}")
    kill(settings, place, "roll back")

    assert roll_back(collection, None, settings, by="ana", reason="worse").champion.version == "2"
    assert [e.version for e in read_log(settings)] == ["2", "3", "2", "1"]
    assert alias(client) == "2"


AT_ONCE = """
import sys, time
from pathlib import Path
from nightglass.collections import Collection
from nightglass.promotion import promote
from nightglass.settings import read_settings

go, *versions = sys.argv[1:]
collection, settings = Collection(name="cells", images="/data/{night}"), read_settings()
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.001)
for version in versions:
    promote(collection, version, settings, by=version, reason="gates", run=f"r{version}")
"""


def test_promotions_at_once_have_one_order(
    settings: Settings, client: MlflowClient, add_versions: AddVersions, tmp_path: Path
) -> None:
    add_versions(8)
    go = tmp_path / "go"
    shares = [["1", "3", "5", "7"], ["2", "4", "6", "8"]]
    processes = [start(AT_ONCE, settings, go, *versions) for versions in shares]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    outcomes = [(*process.communicate(timeout=200), process.returncode) for process in processes]
    assert [code for *_, code in outcomes] == [0, 0], outcomes

    log = read_log(settings)[::-1]
    assert sorted(int(e.version) for e in log) == list(range(1, 9))
    assert [e.entry for e in log] == list(range(1, 9))
    assert [e.previous_version for e in log] == [None, *(e.version for e in log[:-1])]
    assert all(before.until == after.at for before, after in itertools.pairwise(log))
    for versions in shares:
        assert [e.version for e in log if e.version in versions] == versions
    assert alias(client) == log[-1].version
