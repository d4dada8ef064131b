"""What a service that is away says through its own client, and which service people are told of."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nightglass.alerting.services import name_service
from nightglass.errors import StorageError
from nightglass.storage import open_folder
from nightglass.store import Store
from nightglass.tracking import Tracking

pytestmark = pytest.mark.integration


@pytest.fixture
def nobody() -> str:
    """A host and port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def ask_s3(nobody: str, _: Path) -> None:
    open_folder("s3://nights/cells", {"key": "k", "secret": "s", "endpoint_url": f"http://{nobody}"}).read_bytes("a")


def ask_mlflow(nobody: str, folder: Path) -> None:
    with Tracking(f"http://{nobody}", folder).session() as client:
        client.get_experiment_by_name("cells")


def ask_database(nobody: str, _: Path) -> None:
    Store.connect(f"postgresql://nightglass:secret@{nobody}/nightglass", Path(__file__).resolve().parents[2] / "sql")


@pytest.mark.parametrize(("ask", "service"), [(ask_s3, "S3"), (ask_mlflow, "MLflow"), (ask_database, "the database")])
def test_the_error_names_the_service(
    nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str, Path], None], service: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageError) as caught:
        ask(nobody, tmp_path)
    assert caught.value.can_heal
    assert name_service(str(caught.value)) == service
