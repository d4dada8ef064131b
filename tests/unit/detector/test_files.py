import json
import shutil
from pathlib import Path

import pytest

from nightglass.detector.files import load_detector, read_description
from nightglass.errors import ModelError


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def test_a_saved_detector_loads_with_everything(model: Path) -> None:
    detector = load_detector(model)
    assert len(detector.bank) == len(detector.bank_paths) == 40
    assert set(detector.reference.statistics) == {
        "brightness", "contrast", "sharpness", "colourfulness", "image_score",
    }  # fmt: skip
    assert detector.fingerprint == read_description(model).fingerprint


def test_another_format_version_is_refused(copy: Path) -> None:
    description = json.loads((copy / "detector.json").read_text())
    (copy / "detector.json").write_text(json.dumps(description | {"format_version": 7}))
    with pytest.raises(ModelError, match="expected detector format 5, got 7; fit it again"):
        load_detector(copy)


@pytest.mark.parametrize("name", ["bank.faiss", "network.bin", "arrays.safetensors"])
def test_a_damaged_file_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"{name}: expected the content that was fitted"):
        load_detector(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "patch_bank.faiss").unlink()
    with pytest.raises(ModelError, match=r"expected the file 'patch_bank.faiss'"):
        load_detector(copy)


def test_a_folder_without_a_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a detector folder with detector.json"):
        load_detector(tmp_path)
