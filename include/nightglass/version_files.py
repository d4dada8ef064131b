"""Single files of registered detectors, as MLflow keeps them; with :mod:`nightglass.registry` all that talks to it."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nightglass.errors import InputError, ModelError
from nightglass.records import ModelRef
from nightglass.settings import Settings
from nightglass.tracking import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_PAGE = 200


@dataclass(frozen=True)
class VersionFiles:
    """The files of one version's detector; ``tags`` are the version's."""

    ref: ModelRef
    tags: Mapping[str, str]
    _client: "MlflowClient"
    _repository: "ArtifactRepository"
    _folder: str

    def read(self, name: str) -> bytes:
        """Return a file of the detector.

        Raises:
            ModelError: It is gone.
        """
        try:
            return _download(self._repository, f"{self._folder}/{name}")
        except (InputError, OSError) as error:
            raise ModelError(f"{self.ref.uri}: expected the file {name!r} where MLflow put it, got none") from error

    def write(self, name: str, data: bytes) -> None:
        """Put a file in the place of another one."""
        with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
            local = Path(work) / name
            local.write_bytes(data)
            self._repository.log_artifact(str(local), self._folder)  # type: ignore[no-untyped-call]

    def tag(self, name: str, value: str) -> None:
        """Put a tag on the version."""
        self._client.set_model_version_tag(self.ref.name, self.ref.version, name, value)


def list_version_refs(settings: Settings, model_name: str) -> list[ModelRef]:
    """Return every version of a model, the newest first; none where there is no such model."""
    quote = '"' if "'" in model_name else "'"
    found: list[ModelRef] = []
    with _tracking(settings).session() as client:
        token = None
        while True:
            page = client.search_model_versions(
                f"name = {quote}{model_name}{quote}",
                max_results=_PAGE,
                order_by=["version_number DESC"],
                page_token=token,
            )
            found += [ModelRef(name=each.name, version=str(each.version)) for each in page]
            token = page.token
            if not token:
                return found


@contextmanager
def open_version(settings: Settings, ref: ModelRef) -> Iterator[VersionFiles]:
    """Give the files of a registered detector.

    Raises:
        ModelError: There is no such version, or its files are no detector of Nightglass.
        StorageError: MLflow does not answer.
    """
    with _tracking(settings).session() as client:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        tags = client.get_model_version(ref.name, ref.version).tags
        repository = get_artifact_repository(client.get_model_version_download_uri(ref.name, ref.version))
        try:
            described: Any = yaml.safe_load(_download(repository, "MLmodel"))
            folder = described["flavors"]["python_function"]["data"]
        except (InputError, OSError, yaml.YAMLError, ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{ref.uri}: expected the description of a detector where MLflow put it, got none"
            ) from error
        yield VersionFiles(ref, dict(tags), client, repository, str(folder))


def _tracking(settings: Settings) -> Tracking:
    return Tracking(settings.tracking_url, settings.home / "mlartifacts")


def _download(repository: "ArtifactRepository", name: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="nightglass-") as work:
        found: str = repository.download_artifacts(name, work)  # type: ignore[no-untyped-call]
        return Path(found).read_bytes()
