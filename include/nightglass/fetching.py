"""Fetch a registered detector from where MLflow keeps files: whole or not at all, and the one that was registered."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from nightglass.errors import InputError, ModelError
from nightglass.records import ModelRef
from nightglass.tracking import Tracking


def fetch_detector(tracking: Tracking, ref: ModelRef, target: Path, seal: str | None) -> None:
    """Put the folder of a detector at ``target``; its code, where somebody added any, is never loaded.

    Args:
        tracking: Where it is registered.
        ref: Which version.
        target: In a folder that exists; where it is there already, another caller was first, with the same files.
        seal: Sha256 of its ``detector.json`` when it was registered, None where nobody noted that.

    Raises:
        ModelError: The files are gone, are no detector of Nightglass, or are not those that were registered.
    """
    temporary = Path(tempfile.mkdtemp(prefix=".downloading-", dir=target.parent))
    try:
        try:
            with tracking.session():
                import mlflow

                mlflow.artifacts.download_artifacts(artifact_uri=ref.uri, dst_path=str(temporary))
                data = _find_data(temporary, ref)
        except InputError as error:  # what a missing file becomes
            raise ModelError(f"{ref.uri}: expected its files where MLflow put them, got none") from error
        _check_seal(data, ref, seal)
        try:
            data.rename(target)
        except OSError:
            if not target.exists():  # else another caller was first, with the same files
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _find_data(folder: Path, ref: ModelRef) -> Path:
    """Return the folder that an MLflow model names as its data, which lies inside of it."""
    try:
        description: Any = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavors: dict[str, Any] = dict(description["flavors"])
        data = flavors.get("python_function", {}).get("data")
        found = (folder / str(data)).resolve()
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{ref.uri}: expected the description of an MLflow model, got none") from error
    if not data or not found.is_relative_to(folder.resolve()):
        shown = ", ".join(map(str, flavors))[:200]
        raise ModelError(f"{ref.uri}: expected a detector of Nightglass, got flavors {shown}")
    return found


def _check_seal(data: Path, ref: ModelRef, seal: str | None) -> None:
    """Whoever may write where MLflow puts files may still not change what a version is."""
    from nightglass.detector.files import seal_of

    if seal is not None and seal_of(data) != seal:
        raise ModelError(f"{ref.uri}: expected the detector that was registered, got another detector.json")
