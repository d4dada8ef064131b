"""What is backed up: the results, MLflow's database and MLflow's files, opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from nightglass.errors import ConfigurationError
from nightglass.settings import Settings
from nightglass.storage import Folder, open_folder
from nightglass.store import Store
from nightglass.store.database import Database
from nightglass.tracking import Tracking

RESULTS_VERSION, TRACKING_VERSION = "schema_migrations", "alembic_version"


@dataclass(frozen=True)
class BackedUp:
    """The three; ``artifacts`` are the files of MLflow's runs and models."""

    results: Database
    tracking: Database
    artifacts: Folder
    settings: Settings

    @classmethod
    def open(cls, settings: Settings) -> "BackedUp":
        """Open them; nothing is read yet.

        Raises:
            ConfigurationError: MLflow is a server, and nothing says where its database and files are.
        """
        if urlsplit(settings.tracking_url).scheme not in {"http", "https"}:
            artifacts = open_folder(settings.tracking_artifacts_url or settings.home / "mlartifacts")
            return cls(Database(settings.database_url), Database(settings.tracking_url), artifacts, settings)
        wanted = {
            "NIGHTGLASS_TRACKING_DATABASE_URL": settings.tracking_database_url,
            "NIGHTGLASS_TRACKING_ARTIFACTS_URL": settings.tracking_artifacts_url,
        }
        if missing := [name for name, value in wanted.items() if not value]:
            where = "the database and the files behind the MLflow server"
            raise ConfigurationError(f"{' and '.join(missing)}: expected the address of {where}, got none")
        artifacts = open_folder(settings.tracking_artifacts_url)
        return cls(Database(settings.database_url), Database(settings.tracking_database_url), artifacts, settings)

    def prepare(self) -> None:
        """Bring the results' tables up to date, and let MLflow make its own where there are none yet."""
        with Store.connect(self.settings.database_url, self.settings.sql_dir) as store:
            store.migrate()
        self.prepare_tracking()

    def prepare_tracking(self) -> None:
        """Let MLflow make its tables where there are none yet.

        Raises:
            StorageError: It does not answer.
        """
        with Tracking(self.settings.tracking_url, self.settings.home / "mlartifacts").session() as client:
            client.search_registered_models(max_results=1)

    @contextmanager
    def mlflow_alone(self) -> Iterator[None]:
        """Keep other writers out of a local MLflow, whose database locks as a whole; a server looks after itself."""
        with Tracking(self.settings.tracking_url, self.settings.home / "mlartifacts").alone():
            yield

    @property
    def files_uri(self) -> str | None:
        """How MLflow's database names the folder of the files; None for a server's, which it names by no place."""
        if self.settings.tracking_url.startswith("sqlite:") and self.artifacts.is_local:
            return (self.settings.home / "mlartifacts").as_uri()
        return None
