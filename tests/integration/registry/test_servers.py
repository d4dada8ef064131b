import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nightglass.errors import ModelError, StorageError
from nightglass.records import Assessment
from nightglass.registry import Registry

pytestmark = pytest.mark.integration

MakeAssessment = Callable[..., Assessment]
NAME = "nightglass-cells"


def register(registry: Registry, detector: Path, loader: str) -> str:
    return registry.register_detector(
        detector,
        name=NAME,
        params={"seed": 0, "backbone": "tiny"},
        metrics={"auroc": 0.9, "unknown": math.nan},
        tags={"data_version": "abc"},
        loader_module=loader,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


SCRIPT = """
import sys, time
from pathlib import Path
from nightglass.registry import Registry
home, loader_dir, detector, go = sys.argv[1:]
while not Path(go).exists():
    time.sleep(0.001)
registry = Registry(f"sqlite:///{home}/mlflow.db", Path(home) / "artifacts")
version = registry.register_detector(
    Path(detector), name="cells", params={}, metrics={}, tags={}, loader_module="nightglass_test_loader"
)
registry.set_champion("cells", version)
print(version, "torch" in sys.modules)
"""


def test_processes_that_meet_a_new_mlflow_at_once_all_get_through(detector: Path, loader: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "home"), "", str(detector), str(go)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "modules")},
        )
        for _ in range(3)
    ]
    go.touch()
    outcomes = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for *_, code in outcomes] == [0, 0, 0], outcomes
    # One line on stdout: nothing of MLflow's gets into it, and no torch was imported.
    assert sorted(output for output, *_ in outcomes) == ["1 False\n", "2 False\n", "3 False\n"]
    assert not any("alembic" in error or "Traceback" in error for _, error, _ in outcomes), outcomes


def test_a_server_that_is_down_may_heal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry("http://ana:tiger-tail@127.0.0.1:1", tmp_path)
    with pytest.raises(StorageError, match="MLflow does not answer") as caught:
        registry.resolve(f"models:/{NAME}@champion")
    assert caught.value.can_heal
    assert "tiger-tail" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_mlflow_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database " * 100)
    with pytest.raises(StorageError, match=r"mlflow\.db.*not a database") as caught:
        Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts").get_champion(NAME)
    assert "\n" not in str(caught.value)


# A server, as in production


@pytest.fixture
def mlflow_server(tmp_path: Path, empty_mlflow: Path) -> Iterator[str]:
    """A real MLflow server that keeps the files itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shutil.copy(empty_mlflow, tmp_path / "server.db")
    url = f"http://127.0.0.1:{port}"
    options = {
        "--backend-store-uri": f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination": str(tmp_path / "server-files"),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
    }
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *(part for pair in options.items() for part in pair)],
            stdout=output,
            stderr=output,
            cwd=tmp_path,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while not _answers(f"{url}/health"):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own http address
            return bool(response.status == 200)
    except OSError:
        return False


def test_a_server_keeps_the_files_and_the_runs(
    mlflow_server: str,
    detector: Path,
    loader: str,
    make_assessment: MakeAssessment,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    registry = Registry(mlflow_server, tmp_path / "unused")
    version = register(registry, detector, loader)
    registry.set_champion(NAME, version)
    found = registry.download(f"models:/{NAME}@champion", tmp_path / "cache")
    assert content(found) == content(detector)
    run_id = registry.log_night(make_assessment(), [detector / "offset.txt"])
    assert registry.log_night(make_assessment(anomalous=5), [detector / "offset.txt"]) == run_id
    with pytest.raises(ModelError, match=rf"registered: {NAME} \(@champion\)"):
        registry.resolve(f"models:/{NAME}/9")
    assert not (tmp_path / "unused").exists()
    assert (tmp_path / "server-files").is_dir()
    assert capfd.readouterr().out == ""
