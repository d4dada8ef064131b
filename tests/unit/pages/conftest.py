"""The pages without Airflow: whoever asks is named in a header, and may do what the test says."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient

from nightglass.pages.app import create_app
from nightglass.registry import Registry
from nightglass.settings import Settings
from nightglass.store import Store


@dataclass
class People:
    """Who may read and change which collection; stands where Airflow answers in production."""

    readers: dict[str, set[str]] = field(default_factory=lambda: {"ana": {"cells", "lids"}, "olu": {"cells"}})
    writers: dict[str, set[str]] = field(default_factory=lambda: {"ana": {"cells"}})
    starters: dict[str, set[str]] = field(default_factory=lambda: {"ana": {"retrain_cells", "rollback_cells"}})

    def authenticate(self, request: Request) -> "Person":
        name = request.headers.get("X-Test-User")
        if name is None:
            raise HTTPException(401, "Not authenticated")
        return Person(name, self)


@dataclass
class Person:
    """One of them."""

    user_name: str
    people: People

    def may_read(self, collection: str) -> bool:
        return collection in self.people.readers.get(self.user_name, set())

    def may_change(self, collection: str) -> bool:
        return collection in self.people.writers.get(self.user_name, set())

    def may_start(self, dag_id: str) -> bool:
        return dag_id in self.people.starters.get(self.user_name, set())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the collections `cells` and `lids`, and an empty database."""
    files = tmp_path / "collections"
    files.mkdir()
    for name in ("cells", "lids"):
        text = f"images: {tmp_path}/images/{name}/{{night}}\nschedule: null\ndescription: <b>All</b> {name}\n"
        (files / f"{name}.yaml").write_text(text)
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(files))
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    """Its settings."""
    return Settings().resolved()


@pytest.fixture
def store(settings: Settings) -> Store:
    """Its results, migrated."""
    store = Store.connect(settings.database_url, settings.sql_dir)
    store.migrate()
    return store


@pytest.fixture
def client(home: Path) -> TestClient:
    """A browser that nobody is signed in with."""
    return TestClient(create_app(People().authenticate, lambda _: None), headers={"Accept": "text/html"})


@pytest.fixture
def ana(client: TestClient) -> TestClient:
    """Ana reads both collections and may change `cells`."""
    client.headers["X-Test-User"] = "ana"
    return client


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's empty database, which takes it seconds to create."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    assert Registry(f"sqlite:///{file}", file.parent).get_champion("none") is None
    return file
