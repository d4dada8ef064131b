"""The DAG folder, parsed as Airflow's DAG processor does it, and without a database."""

from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DAGS = REPOSITORY / "dags"


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(autouse=True)
def airflow_settings(monkeypatch, airflow_home):
    """Airflow reads some settings when it is first imported, so that no test module imports it at its top."""
    monkeypatch.setenv("AIRFLOW_HOME", str(airflow_home))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))
    # Whoever asks the database anything while parsing fails.
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{airflow_home}/no/such/folder/airflow.db")
    monkeypatch.syspath_prepend(str(DAGS))


@pytest.fixture
def parse(monkeypatch) -> Callable:
    """Parse this repository's DAGs for a folder of collections."""

    def parse_dags(collections: Path):
        from airflow.dag_processing.dagbag import BundleDagBag

        monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(collections))
        return BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags")

    return parse_dags


@pytest.fixture
def write_collections(tmp_path) -> Callable[..., Path]:
    """Write collections' files, given as ``name="YAML"``, to a folder and return it."""

    def write(**files: str) -> Path:
        folder = tmp_path / "collections"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)
        return folder

    return write
