"""Find a detector by what people call it: a folder, or ``models:/NAME@champion`` in the registry."""

import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightglass import __version__
from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.detector.files import load_detector, read_description, seal_of
from nightglass.engine.fit import Fitted
from nightglass.errors import ModelError
from nightglass.promotion import appoint_first
from nightglass.records import ModelRef
from nightglass.registered_models import SEAL
from nightglass.settings import Settings, name_user

if TYPE_CHECKING:
    from nightglass.registry import Registry

REGISTRY_PREFIX = "models:/"


@dataclass(frozen=True)
class FoundModel:
    """A detector with its name and version: those of the registry, or the folder and the fingerprint's start."""

    detector: Detector
    ref: ModelRef


def open_registry(settings: Settings) -> "Registry":
    """Return the registry of the settings."""
    from nightglass.registry import Registry

    return Registry.open(settings)


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
        return FoundModel(detector, ModelRef(name=folder.name, version=detector.fingerprint[:12]))
    registry = open_registry(settings)
    ref = registry.resolve(model)
    folder = registry.download(ref.uri, settings.home / "models")
    try:
        return FoundModel(load_detector(folder), ref)
    except ModelError:
        # The copy may have been damaged since; a second one that is no better says so.
        shutil.rmtree(folder, ignore_errors=True)
        return FoundModel(load_detector(registry.download(ref.uri, settings.home / "models")), ref)


def find_version(ref: ModelRef, fingerprint: str, settings: Settings) -> FoundModel:
    """Load exactly this detector: the local copy where there is one, without a word to the registry.

    Raises:
        ModelError: The registry has no such version, or it is another detector than the one meant.
    """
    for path in sorted((settings.home / "models" / ref.name / ref.version).glob("[!.]*/detector.json")):
        with suppress(ModelError):  # a damaged copy is fetched again below
            if read_description(path.parent).fingerprint == fingerprint:
                return FoundModel(load_detector(path.parent), ref)
    found = find_model(ref.uri, settings)
    if found.detector.fingerprint != fingerprint:
        got = found.detector.fingerprint[:12]
        raise ModelError(f"{ref.uri}: expected the detector {fingerprint[:12]}, got {got}; list the night again")
    return found


def register_fitted(
    folder: Path, fitted: Fitted, collection: Collection, settings: Settings, *, tags: Mapping[str, str] | None = None
) -> str:
    """Register the detector in ``folder`` under the collection's model name and return its version.

    The first version of a model becomes champion; a later one is a candidate until it is promoted. ``tags`` are put on
    the version beside its data version and fingerprint.
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
            **(description.finetuning.params() if description.finetuning else {}),
        },
        metrics={
            "images": fitted.images,
            "image_threshold": description.calibration.image_threshold,
            "false_alarm_rate": description.calibration.false_alarm_rate,
        },
        tags={
            **(tags or {}),
            "code_version": code_version(),
            "data_version": description.data_version,
            "fingerprint": description.fingerprint,
            SEAL: seal_of(folder),
        },
        steps=[epoch.metrics() for epoch in description.finetuning.epochs] if description.finetuning else (),
    )
    appoint_first(collection, version, settings, by=name_user())
    return version


def find_fitted(collection: Collection, tags: Mapping[str, str], settings: Settings) -> FoundModel | None:
    """Return the newest version with these tags, None where there is none: a fit that ended just before a crash."""
    version = open_registry(settings).find_tagged(collection.model_name, tags)
    return None if version is None else find_model(ModelRef(name=collection.model_name, version=version).uri, settings)


def code_version() -> str:
    """Return Nightglass's version, and the commit where it runs from a repository."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        found = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  fixed words
        return f"{__version__} ({found.stdout.strip()})"
    return __version__
