"""An MLflow of its own for each test, and a small detector with its loader."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from nightglass.collections import Collection
from nightglass.registry import Registry
from nightglass.settings import Settings

NAME = "nightglass-cells"
LOADER = """
from pathlib import Path


class Lengths:
    def __init__(self, folder):
        self.offset = float((folder / "offset.txt").read_text())

    def predict(self, frame, params=None):
        return [len(data) + self.offset for data in frame["image"]]


def _load_pyfunc(data_path):
    return Lengths(Path(data_path))
"""


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's empty database, which takes it seconds to create."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    assert Registry(f"sqlite:///{file}", file.parent).get_champion(NAME) is None
    return file


@pytest.fixture
def registry(tmp_path: Path, empty_mlflow: Path) -> Registry:
    home = tmp_path / "my home"
    home.mkdir()
    shutil.copy(empty_mlflow, home)
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "nightglass_test_loader.py").write_text(LOADER)
    monkeypatch.syspath_prepend(str(folder))
    return "nightglass_test_loader"


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    folder = tmp_path / "detector"
    (folder / "bank").mkdir(parents=True)
    (folder / "offset.txt").write_text("0.5")
    (folder / "bank" / "coreset.bin").write_bytes(bytes(range(256)))
    return folder


# Promotion: settings with an MLflow and a results database of their own


@pytest.fixture
def collection() -> Collection:
    return Collection(name="cells", images="/data/{night}")


@pytest.fixture
def results_url() -> str:
    """The results database: SQLite in NIGHTGLASS_HOME, but for the modules that have another one."""
    return ""


@pytest.fixture
def settings(tmp_path: Path, empty_mlflow: Path, results_url: str, sql_dir: Path) -> Settings:
    """MLflow and the results database are empty."""
    home = tmp_path / "my home"
    home.mkdir()
    shutil.copy(empty_mlflow, home)
    return Settings(home=home, database_url=results_url, tracking_url="", sql_dir=sql_dir).resolved()


@pytest.fixture
def client(settings: Settings) -> MlflowClient:
    return MlflowClient(settings.tracking_url)


@pytest.fixture
def add_versions(client: MlflowClient) -> Callable[[int], None]:
    """Register so many versions more, without files."""

    def add(count: int) -> None:
        if not client.search_registered_models(f"name = '{NAME}'"):
            client.create_registered_model(NAME)
        for _ in range(count):
            client.create_model_version(NAME, source="file:///nowhere", tags={"data_version": "ab" * 32})

    return add
