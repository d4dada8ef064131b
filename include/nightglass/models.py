"""Find a detector by what people call it: a folder, or ``models:/NAME@champion`` in the registry."""

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.detector.files import load_detector
from nightglass.engine.fit import Fitted
from nightglass.errors import ModelError

if TYPE_CHECKING:
    from nightglass.registry import Registry
from nightglass.settings import Settings
from nightglass.store import Store

REGISTRY_PREFIX = "models:/"


@dataclass(frozen=True)
class FoundModel:
    """A detector with its name and version: those of the registry, or the folder and the fingerprint's start."""

    detector: Detector
    name: str
    version: str

    @property
    def uri(self) -> str:
        """What finds exactly this version again."""
        return f"{REGISTRY_PREFIX}{self.name}/{self.version}"


def open_registry(settings: Settings) -> "Registry":
    """Return the registry of the settings."""
    from nightglass.registry import Registry

    return Registry(settings.tracking_url, settings.home / "mlartifacts")


def find_model(model: str, settings: Settings) -> FoundModel:
    """Load the detector ``model``.

    Args:
        model: A detector folder, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        settings: Where the registry is.

    Raises:
        ModelError: There is no such detector, or it is damaged or of another version.
    """
    if not model.startswith(REGISTRY_PREFIX):
        folder = Path(model).expanduser().absolute()
        if not folder.is_dir():
            raise ModelError(f"--model: expected a detector folder or {REGISTRY_PREFIX}NAME@champion, got {model}")
        detector = load_detector(folder)
        return FoundModel(detector, folder.name, detector.fingerprint[:12])
    registry = open_registry(settings)
    reference = registry.resolve(model)
    uri = f"{REGISTRY_PREFIX}{reference.name}/{reference.version}"
    folder = registry.download(uri, settings.home / "models")
    return FoundModel(load_detector(folder), reference.name, reference.version)


def register_fitted(folder: Path, fitted: Fitted, collection: Collection, settings: Settings) -> str:
    """Register the detector in ``folder`` under the collection's model name and return its version.

    The first version of a model becomes champion; a later one is a candidate until it is promoted.
    """
    description = fitted.description
    registry = open_registry(settings)
    version = registry.register_detector(
        folder,
        name=collection.model_name,
        params={
            "backbone": description.options.backbone.name,
            "num_neighbors": description.options.num_neighbors,
            "seed": description.options.seed,
        },
        metrics={
            "images": fitted.images,
            "image_threshold": description.calibration.image_threshold,
            "false_alarm_rate": description.calibration.false_alarm_rate,
        },
        tags={"data_version": description.data_version, "fingerprint": description.fingerprint},
    )
    if registry.get_champion(collection.model_name) is None:
        with Store.connect(settings.database_url, settings.sql_dir) as store:
            store.migrate()
            store.record_promotion(
                collection=collection.name,
                model_name=collection.model_name,
                event="promoted",
                version=version,
                previous_version=None,
                at=datetime.now(UTC),
                by=getpass.getuser(),
                reason="first version of the model",
            )
        registry.set_champion(collection.model_name, version)
    return version
