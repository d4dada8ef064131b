"""A session with MLflow: set up, quiet, one writer at a time, and its failures as one clear line."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from nightglass.errors import AccessDeniedError, ModelError, NightglassError, StorageError
from nightglass.storage import explaining

if TYPE_CHECKING:
    from mlflow import MlflowClient

MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_DENIED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_LOCK_SECONDS = 300
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Its "View run at ..." would land in the one JSON object that a command prints.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # A server that is down is an error within seconds; the task's own retries wait for it.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}


class Tracking:
    """One MLflow by its address.

    Args:
        tracking_url: ``sqlite:///FILE`` or the http(s) address of an MLflow server.
        artifacts_dir: Where files go when there is no server, which would keep them itself.
    """

    def __init__(self, tracking_url: str, artifacts_dir: Path) -> None:
        self._url = tracking_url
        self._artifacts_dir = artifacts_dir.expanduser().absolute()
        self._lock: FileLock | None = None
        self.where = _CREDENTIALS.sub("//", tracking_url)
        if tracking_url.startswith("sqlite:///"):
            file = Path(tracking_url.removeprefix("sqlite:///").partition("?")[0]).absolute()
            with explaining(self.where):
                file.parent.mkdir(parents=True, exist_ok=True)
            # MLflow itself waits 5 s for another writer and then fails; here whoever holds this file goes first.
            self._lock = FileLock(f"{file}.lock", timeout=_LOCK_SECONDS)

    @contextmanager
    def session(self) -> Iterator["MlflowClient"]:
        """Give a client.

        Raises:
            StorageError: MLflow does not answer.
            AccessDeniedError: It said no.
            ModelError: It does not have, or does not take, what was asked for.
        """
        for key, value in _ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        try:
            with explaining(self.where), self._lock or nullcontext():
                mlflow.set_tracking_uri(self._url)
                yield mlflow.MlflowClient(self._url)
        except MlflowException as error:
            raise _explain(error.error_code, error, self.where) from error
        except (SQLAlchemyError, Timeout) as error:
            raise _explain("", error, self.where) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers out of a local MLflow for the block; a server looks after itself."""
        with explaining(self.where), self._lock or nullcontext():
            yield

    def experiment(self, client: "MlflowClient", name: str) -> str:
        """Return the id of an experiment, which is created, or restored after someone deleted it."""
        from mlflow.exceptions import MlflowException

        # Without a server MLflow would keep files below the current folder, whatever that is.
        has_server = urlsplit(self._url).scheme in {"http", "https"}
        location = None if has_server else (self._artifacts_dir / name).as_uri()
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=location))
            except MlflowException:
                found = client.get_experiment_by_name(name)
                if found is None:  # else another process was first
                    raise
        if found.lifecycle_stage != "active":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _explain(code: str, error: Exception, where: str) -> NightglassError:
    text = _CREDENTIALS.sub("//", " ".join(str(error).split()))[:300]
    if code in _DENIED:
        return AccessDeniedError(f"{where}: access denied ({text})")
    if code in MISSING or code == "INVALID_PARAMETER_VALUE":
        return ModelError(f"{where}: {text}")
    return StorageError(f"{where}: MLflow does not answer ({text})")
