import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from nightglass.errors import InputError, ModelError
from nightglass.records import Assessment, ModelRef
from nightglass.registry import Registry

pytestmark = pytest.mark.integration

MakeAssessment = Callable[..., Assessment]
NAME = "nightglass-cells"


def register(registry: Registry, detector: Path, loader: str) -> str:
    return registry.register_detector(
        detector,
        name=NAME,
        params={"seed": 0, "backbone": "tiny"},
        metrics={"auroc": 0.9, "unknown": math.nan},
        tags={"data_version": "abc"},
        loader_module=loader,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_detector_comes_back_as_it_was(registry: Registry, detector: Path, loader: str, tmp_path: Path) -> None:
    version = register(registry, detector, loader)
    assert version == "1"
    found = registry.download(f"models:/{NAME}/1", tmp_path / "cache")
    assert found.is_relative_to(tmp_path / "cache" / NAME / "1")
    assert content(found) == content(detector)
    logged = MlflowClient().get_run(MlflowClient().get_model_version(NAME, "1").run_id or "")
    assert logged.data.params == {"seed": "0", "backbone": "tiny"}
    assert logged.data.metrics == {"auroc": 0.9}
    assert MlflowClient().get_model_version(NAME, "1").tags == {"data_version": "abc"}


def test_mlflow_itself_loads_it_without_a_pickle(
    registry: Registry, detector: Path, loader: str, tmp_path: Path
) -> None:
    import mlflow

    register(registry, detector, loader)
    registry.set_champion(NAME, "1")
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    assert model.predict(pd.DataFrame({"image": [b"12345", b"123456"]})) == [5.5, 6.5]
    assert [path for path in (tmp_path / "my home").rglob("*") if path.suffix in {".pkl", ".pickle"}] == []


def test_the_champion_moves_forth_and_back(registry: Registry, detector: Path, loader: str) -> None:
    assert registry.get_champion(NAME) is None
    register(registry, detector, loader)
    assert registry.get_champion(NAME) is None
    registry.set_champion(NAME, "1")
    assert register(registry, detector, loader) == "2"
    assert registry.get_champion(NAME) == "1"
    registry.set_champion(NAME, "2")
    assert registry.resolve(f"models:/{NAME}@champion") == ModelRef(name=NAME, version="2")
    registry.set_champion(NAME, "1")
    assert registry.resolve(f"models:/{NAME}@champion") == ModelRef(name=NAME, version="1")
    assert registry.resolve(f"models:/{NAME}/2").uri == f"models:/{NAME}/2"


def test_what_is_missing_is_said_with_what_there_is(
    registry: Registry, detector: Path, loader: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no model is registered yet"):
        registry.resolve(f"models:/{NAME}@champion")
    register(registry, detector, loader)
    registry.set_champion(NAME, "1")
    for address in (f"models:/{NAME}/9", f"models:/{NAME}@challenger", "models:/other@champion", "models:/other/1"):
        with pytest.raises(ModelError, match=rf"{address}: .*registered: {NAME} \(@champion\)") as caught:
            registry.download(address, tmp_path / "cache")
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="models:/nightglass-cells/7"):
        registry.set_champion(NAME, "7")
    assert registry.get_champion(NAME) == "1"


@pytest.mark.parametrize(
    "address", ["/some/folder", "models:/", "models:/../3", "models:/a/b/3", "models:/a@b@c", "models:/a/latest"]
)
def test_an_address_of_another_form_is_refused(registry: Registry, address: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected models:/NAME@champion or models:/NAME/VERSION"):
        registry.download(address, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_is_not_there_registers_nothing(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a detector"):
        register(registry, tmp_path / "nowhere", "any")
    with pytest.raises(ModelError):
        registry.resolve(f"models:/{NAME}/1")


def test_downloading_again_reads_the_cache(registry: Registry, detector: Path, loader: str, tmp_path: Path) -> None:
    register(registry, detector, loader)
    first = registry.download(f"models:/{NAME}/1", tmp_path / "cache")
    inode = (first / "offset.txt").stat().st_ino
    assert registry.download(f"models:/{NAME}/1", tmp_path / "cache") == first
    assert (first / "offset.txt").stat().st_ino == inode


def test_callers_at_once_share_one_whole_folder(
    registry: Registry, detector: Path, loader: str, tmp_path: Path
) -> None:
    register(registry, detector, loader)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(registry.download, f"models:/{NAME}/1", tmp_path / "cache") for _ in range(6)]
        folders = {call.result() for call in calls}
    assert len(folders) == 1
    assert content(folders.pop()) == content(detector)
    assert list((tmp_path / "cache" / NAME / "1").glob(".downloading-*")) == []


def test_a_registry_that_starts_afresh_does_not_meet_an_old_cache(
    empty_mlflow: Path, registry: Registry, detector: Path, loader: str, tmp_path: Path
) -> None:
    register(registry, detector, loader)
    old = registry.download(f"models:/{NAME}/1", tmp_path / "cache")
    (detector / "offset.txt").write_text("7.0")
    shutil.copy(empty_mlflow, tmp_path / "new.db")
    afresh = Registry(f"sqlite:///{tmp_path / 'new.db'}", tmp_path / "new-artifacts")
    assert register(afresh, detector, loader) == "1"
    new = afresh.download(f"models:/{NAME}/1", tmp_path / "cache")
    assert ((old / "offset.txt").read_text(), (new / "offset.txt").read_text()) == ("0.5", "7.0")


def test_files_that_someone_removed_are_a_clear_error(
    registry: Registry, detector: Path, loader: str, tmp_path: Path
) -> None:
    register(registry, detector, loader)
    (tmp_path / "my home" / "artifacts").rename(tmp_path / "gone")
    with pytest.raises(ModelError, match=f"models:/{NAME}/1: expected its files where MLflow put them"):
        registry.download(f"models:/{NAME}/1", tmp_path / "cache")
    assert list((tmp_path / "cache" / NAME / "1").iterdir()) == []
