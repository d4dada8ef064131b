"""A registered detector: its files are those that were registered, and nothing that came with them is run."""

import json
import pickle
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from mlflow import MlflowClient

from nightglass.detector.files import seal_of
from nightglass.errors import ModelError
from nightglass.registered_models import SEAL
from nightglass.registry import Registry

pytestmark = pytest.mark.integration
NAME = "nightglass-cells"
URI = f"models:/{NAME}/1"


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """A folder that describes itself as a detector's does; what else is in it does not matter here."""
    folder = tmp_path / "described"
    folder.mkdir()
    (folder / "detector.json").write_text(json.dumps({"files": {"bank.faiss": "a" * 64}}))
    return folder


def register(registry: Registry, folder: Path, **tags: str) -> Path:
    """Register it and return its MLflow model where MLflow put it."""
    registry.register_detector(folder, name=NAME, params={}, metrics={}, tags=tags, loader_module="loader_of_nobody")
    source = str(MlflowClient().get_model_version(NAME, "1").source)
    model = MlflowClient().get_logged_model(source.removeprefix("models:/"))
    return Path(unquote(str(model.artifact_location).removeprefix("file://")))


def test_what_was_registered_is_fetched_and_what_was_changed_since_is_not(
    registry: Registry, described: Path, tmp_path: Path
) -> None:
    stored = register(registry, described, **{SEAL: seal_of(described)})
    assert (registry.download(URI, tmp_path / "cache") / "detector.json").is_file()
    (data,) = stored.rglob("detector.json")
    data.write_text(json.dumps({"files": {"bank.faiss": "b" * 64}}))
    with pytest.raises(ModelError, match="expected the detector that was registered, got another"):
        registry.download(URI, tmp_path / "other cache")
    assert list((tmp_path / "other cache" / NAME / "1").iterdir()) == []
    data.unlink()
    with pytest.raises(ModelError, match="expected a detector folder"):
        registry.download(URI, tmp_path / "other cache")


def test_a_version_that_nobody_sealed_is_fetched_all_the_same(
    registry: Registry, described: Path, tmp_path: Path
) -> None:
    register(registry, described)
    assert (registry.download(URI, tmp_path / "cache") / "detector.json").is_file()


def test_code_and_pickles_that_came_with_a_model_are_not_run(
    registry: Registry, described: Path, tmp_path: Path
) -> None:
    stored = register(registry, described)

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return (open, (str(tmp_path / "executed"), "w"))

    (stored / "python_model.pkl").write_bytes(pickle.dumps(Hostile()))
    (stored / "code").mkdir()
    (stored / "code" / "loader_of_nobody.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    description = yaml.safe_load((stored / "MLmodel").read_text())
    description["flavors"]["python_function"] |= {"python_model": "python_model.pkl", "code": "code"}
    (stored / "MLmodel").write_text(yaml.safe_dump(description))
    assert (registry.download(URI, tmp_path / "cache") / "detector.json").is_file()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        "flavors: 3",
        "flavors: {python_function: {data: ../../..}}",
        "flavors: {python_function: {data: /etc}}",
        "flavors: {python_function: [data]}",
        "!!python/object/apply:os.system ['true']",
        "flavors: {sklearn: {}}",
    ],
)
def test_a_model_that_is_none_or_leads_elsewhere_is_one_clear_error(
    registry: Registry, described: Path, tmp_path: Path, text: str
) -> None:
    stored = register(registry, described)
    (stored / "MLmodel").write_text(text)
    with pytest.raises(ModelError, match="expected"):
        registry.download(URI, tmp_path / "cache")
