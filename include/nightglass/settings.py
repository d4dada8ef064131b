"""Where Nightglass reads and writes, from the environment only; built where it is needed, never at import."""

import getpass
import os
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nightglass.errors import ConfigurationError

_REPOSITORY = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Settings of one process; each field is the environment variable ``NIGHTGLASS_<FIELD>``."""

    model_config = SettingsConfigDict(
        env_prefix="NIGHTGLASS_", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(default=Path("var"), description="holds everything that a local run writes")
    database_url: str = Field(default="", description="results database; default: nightglass.db in home")
    tracking_url: str = Field(default="", description="MLflow; default: mlflow.db in home")
    tracking_database_url: str = Field(
        default="", description="the database behind an MLflow server, for backups; without a server: mlflow.db in home"
    )
    tracking_artifacts_url: str = Field(
        default="", description="where an MLflow server keeps its files, for backups; default: mlartifacts in home"
    )
    backup_url: str = Field(default="", description="folder or s3:// prefix of the nightly backups; empty: none")
    backup_keep_days: int = Field(default=30, ge=1, description="older backups are removed, but for the last one")
    nights_url: str = Field(default="", description="folder or s3:// prefix of the nights; default: home/nights")
    retraining_url: str = Field(default="", description="folder or s3:// prefix; default: home/retraining")
    collections_dir: Path = Field(default=_REPOSITORY / "include" / "collections")
    sql_dir: Path = Field(default=_REPOSITORY / "sql")
    images_from: str = Field(
        default="any",
        description="where a run by hand may take images from: any; or own (beside the collection's nights), and "
        "folders and s3:// prefixes, separated by blanks",
    )
    alert_urls: str = Field(default="", description="Apprise URLs that are told, separated by blanks")
    ui_url: str = Field(default="http://localhost:8080", description="address of the Airflow UI in alerts")
    metrics_token: SecretStr | None = Field(
        default=None, min_length=16, description="who sends it as Bearer token may read the metrics"
    )
    price_per_hour: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="of what runs one task; without it only compute time is told",
    )
    currency: str = Field(default="USD", max_length=12, pattern=r"^[^\x00-\x1f\x7f]+$", description="of that price")
    retry_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="how long a task waits that is tried again; each further time twice as long",
    )
    kept_models: int = Field(default=2, ge=1, description="champions that the pages keep in memory")
    predict_workers: int = Field(default=2, ge=1, description="images that the pages look at at once, a thread each")
    search_memory_mb: int = Field(default=512, ge=1, description="MiB of the nights' indexes that the pages keep")

    def resolved(self) -> "Settings":
        """Return a copy with an absolute home and every default filled in; creates nothing."""
        home = self.home.expanduser().absolute()
        if set(str(home)) & set("?#%"):
            raise ConfigurationError(f"NIGHTGLASS_HOME: expected a folder without ? # and % in its name, got {home}")

        def filled(url: str, default: str) -> str:
            url = url or str(home / default)
            return url.rstrip("/") if "://" in url else str(Path(url).expanduser().absolute())

        return self.model_copy(
            update={
                "home": home,
                "database_url": self.database_url or f"sqlite:///{home / 'nightglass.db'}",
                "tracking_url": self.tracking_url or f"sqlite:///{home / 'mlflow.db'}",
                "nights_url": filled(self.nights_url, "nights"),
                "retraining_url": filled(self.retraining_url, "retraining"),
            }
        )


def read_settings() -> Settings:
    """Read the environment and return complete settings.

    Raises:
        ConfigurationError: A variable has a value that it cannot have; its text is not repeated, it may be a secret.
    """
    try:
        return Settings().resolved()
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        variable = f"NIGHTGLASS_{problem['loc'][0]}".upper()
        raise ConfigurationError(f"{variable}: {problem['msg']}, got something else") from None


def name_user() -> str:
    """Return who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
