"""The stores of the compose file as real processes: started, killed, stopped for a while, ended with nothing left."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from deploy.native import Stack, StackError, running_stack

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).resolve().parents[2]
STORES = ["postgres", "redis", "seaweedfs"]
#: What `make stack` does with a signal, without Airflow.
SCRIPT = """
import sys, time
from pathlib import Path
from demo.airflow_processes import exit_on_signals
from deploy.native import running_stack
exit_on_signals()
with running_stack(Path(sys.argv[1]), services=["postgres", "redis"]) as stack:
    print(*(process.pid for process in stack.processes.values()), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stores"), services=STORES) as running:
        yield running


def connect(stack: Stack) -> psycopg.Connection:
    port = stack.processes["postgres"].launch.environment["PGPORT"]
    password = stack.secrets["POSTGRES_PASSWORD"]
    return psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", connect_timeout=5)


def test_the_stores_want_passwords(stack: Stack) -> None:
    with connect(stack) as connection:
        (encryption,) = connection.execute("SHOW password_encryption").fetchone() or ("",)
    assert encryption == "scram-sha-256"
    port = stack.processes["postgres"].launch.environment["PGPORT"]
    for login in ("postgres", "postgres:wrong"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"postgresql://{login}@127.0.0.1:{port}/postgres", connect_timeout=5)
    assert httpx.get(f"{stack.s3_endpoint}/nightglass").status_code == 403


def test_only_loopback(stack: Stack) -> None:
    addresses = {
        connection.laddr.ip
        for process in stack.processes.values()
        for member in process.members()
        for connection in member.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_what_was_written_outlives_a_kill_and_a_restart(stack: Stack) -> None:
    with connect(stack) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")

    stack.kill("postgres")

    assert not stack.processes["postgres"].is_running
    assert stack.processes["postgres"].members() == []
    with pytest.raises(StackError, match=r"postgres: expected to be running, got exit code -9; see .*postgres\.log"):
        stack.check_alive()
    stack.restart("postgres")
    stack.check_alive()
    with connect(stack) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_service_that_stands_still_comes_back(stack: Stack) -> None:
    process = stack.processes["redis"]
    stack.kill("redis", signal.SIGSTOP)
    check = process.check()
    with pytest.raises(subprocess.TimeoutExpired):
        check.wait(1)

    stack.kill("redis", signal.SIGCONT)

    assert check.wait(20) == 0


def test_a_number_that_has_gone_to_somebody_else_is_left_alone(stack: Stack) -> None:
    process = stack.processes["seaweedfs"]
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        process._sessions[stranger.pid] = "started long before"
        assert stranger.pid not in [member.pid for member in process.members()]
        assert stranger.pid not in process._sessions
        stranger.kill()


def test_an_unknown_service_is_an_error(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"expected one of .*, got postgre$"):
        stack.kill("postgre")


def test_a_service_that_dies_at_its_start_is_named_with_its_log(tmp_path: Path) -> None:
    stack = Stack(tmp_path, services=["redis"], tell=lambda _: None)
    # Its folder cannot be one.
    (tmp_path / "volumes" / "redis-data").rmdir()
    (tmp_path / "volumes" / "redis-data").touch()

    with pytest.raises(StackError, match=r"redis: expected success, got exit code 1 .*; see .*redis\.log"):
        stack.start()
    stack.stop()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, sign: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout
    leaders = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    members = [*leaders, *(child for leader in leaders for child in leader.children(recursive=True))]
    # The two servers, and PostgreSQL's helpers.
    assert len(members) > 4

    process.send_signal(sign)
    process.wait(60)

    assert [member for member in members if member.is_running()] == []


def test_a_second_start_finds_what_the_first_one_wrote(tmp_path: Path) -> None:
    for expected in (0, 1):
        with running_stack(tmp_path, services=["postgres"], tell=lambda _: None) as stack, connect(stack) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS starts (at timestamptz)")
            assert connection.execute("SELECT count(*) FROM starts").fetchone() == (expected,)
            connection.execute("INSERT INTO starts VALUES (now())")


def test_a_home_has_one_stack_and_what_a_killed_one_left_is_named(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout
    leaders = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    before = {path: path.read_bytes() for path in (tmp_path / "ports.json", tmp_path / ".env")}

    try:
        with pytest.raises(StackError, match=rf"expected no other stack here, got .*: .*\b{process.pid}\b"):
            Stack(tmp_path)
        process.kill()
        process.wait()
        with pytest.raises(StackError, match=rf"left processes: .*\b{leaders[0].pid}\b"):
            Stack(tmp_path)
        assert {path: path.read_bytes() for path in before} == before
    finally:
        process.kill()
        for leader in leaders:
            leader.send_signal(signal.SIGINT)
        _, left = psutil.wait_procs(leaders, timeout=30)

    assert left == []
    Stack(tmp_path).stop()
