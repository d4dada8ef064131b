"""What MLflow knows of a model's versions, and what their detectors say of themselves, without fetching a detector."""

import logging
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import yaml
from cachetools import LRUCache, TTLCache

from nightglass.errors import ModelError, NightglassError, StorageError
from nightglass.records import ModelRef
from nightglass.registered_models import RegisteredVersion, search_versions
from nightglass.settings import Settings
from nightglass.tracking import Tracking

if TYPE_CHECKING:
    from nightglass.detector.files import Description

_log = logging.getLogger(__name__)
_KEPT = 256  # descriptions of some 10 kB each
_descriptions: "LRUCache[tuple[str, str, str], Description]" = LRUCache(_KEPT)
#: Those that could not be read are tried again after ten minutes, not for every page.
_missing: "TTLCache[tuple[str, str, str], bool]" = TTLCache(_KEPT, 600)
_lock = Lock()


@dataclass(frozen=True)
class VersionDetails:
    """One registered version; ``description`` is None where its detector cannot be asked, or is of another format."""

    version: str
    created_at: str
    tags: Mapping[str, str]
    description: "Description | None"


def read_details(name: str, settings: Settings, limit: int) -> list[VersionDetails]:
    """Return the newest versions of a registered model, newest first.

    A detector never changes, so that what it says of itself is read once.

    Raises:
        StorageError: MLflow does not answer.
    """
    if not has_begun(settings.tracking_url):
        return []
    tracking = Tracking(settings.tracking_url, settings.home / "mlartifacts")
    with tracking.session() as client:
        found = search_versions(client, name, limit)
    details, reads_artifacts = [], True
    for each in found:
        description = _find_description(each, settings)
        if description is None and reads_artifacts and not _is_missing(each):
            try:
                description = fetch_description(ModelRef(name=each.name, version=each.version), tracking)
            except StorageError as error:  # the other versions' files lie in the same store
                _log.warning("%s: the detectors' descriptions are not shown: %s", name, error)
                reads_artifacts = False
        with _lock:
            if description is not None:
                _descriptions[_key(each)] = description
            elif reads_artifacts:
                _missing.setdefault(_key(each), True)
        details.append(VersionDetails(each.version, each.created_at, each.tags, description))
    return details


def has_begun(tracking_url: str) -> bool:
    """Tell whether there is an MLflow at all: to look into an SQLite file would create it."""
    if not tracking_url.startswith("sqlite:///"):
        return True
    return Path(tracking_url.removeprefix("sqlite:///").partition("?")[0]).exists()


def _key(found: RegisteredVersion) -> tuple[str, str, str]:
    return found.name, found.version, found.tags.get("fingerprint", "")


def _is_missing(found: RegisteredVersion) -> bool:
    with _lock:
        return _key(found) in _missing


def _find_description(found: RegisteredVersion, settings: Settings) -> "Description | None":
    """Return the description that is kept here, or that of the local copy of the detector."""
    from nightglass.detector.files import read_description

    with _lock:
        if kept := _descriptions.get(_key(found)):
            return kept
    for path in sorted((settings.home / "models" / found.name / found.version).glob("[!.]*/detector.json")):
        with suppress(ModelError):  # a damaged copy, or one of another registry
            description = read_description(path.parent)
            if description.fingerprint == found.tags.get("fingerprint"):
                return description
    return None


def fetch_description(ref: ModelRef, tracking: Tracking) -> "Description | None":
    """Fetch two small files of a detector; None where it has none that can be read.

    Raises:
        StorageError: The store with the detectors does not answer.
    """
    from nightglass.detector.files import DESCRIPTION, read_description

    uri = ref.uri
    try:
        with tempfile.TemporaryDirectory(prefix="nightglass-") as folder, tracking.session():
            from mlflow.artifacts import download_artifacts

            layout = Path(download_artifacts(artifact_uri=f"{uri}/MLmodel", dst_path=folder))
            data = yaml.safe_load(layout.read_text(encoding="utf-8"))["flavors"]["python_function"]["data"]
            file = download_artifacts(artifact_uri=f"{uri}/{data}/{DESCRIPTION}", dst_path=folder)
            return read_description(Path(file).parent)
    except StorageError:
        raise
    except (NightglassError, KeyError, TypeError, yaml.YAMLError) as error:
        _log.warning("%s: expected a detector that describes itself, got %s: %s", uri, type(error).__name__, error)
        return None
