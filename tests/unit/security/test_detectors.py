"""A detector's folder from a stranger: it is data, and what does not fit is refused before it is used."""

import hashlib
import json
import pickle
import shutil

import faiss
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nightglass.detector.files import load_detector, read_description, seal_of
from nightglass.errors import ModelError


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "copy")


def seal(folder):
    """Write the checksums of the files as they are now, as whoever changed them would."""
    description = json.loads((folder / "detector.json").read_text())
    for name in description["files"]:
        description["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "detector.json").write_text(json.dumps(description))


def change_arrays(folder, **changes):
    arrays = load_file(folder / "arrays.safetensors")
    for name, change in changes.items():
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
    save_file(arrays, folder / "arrays.safetensors")
    seal(folder)


def test_what_was_not_changed_is_loaded_after_sealing(copy):
    change_arrays(copy, mean=lambda mean: mean)
    assert len(load_detector(copy).bank) == 40


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mean", lambda values: values[:-1]),
        ("std", lambda values: values[:, None]),
        ("std", np.zeros_like),
        ("patch_mean", lambda values: np.append(values, values)),
        ("spread", lambda values: values[:3]),
        ("spread", lambda values: values * np.nan),
        ("spread", lambda values: -values),
        ("patch_spread", lambda values: values[:-1]),
        ("reference_embeddings", lambda values: values[:, :100]),
        ("reference_embeddings", lambda values: values.ravel()),
    ],
)
def test_arrays_of_another_detector_are_refused(copy, name, change):
    change_arrays(copy, **{name: change})
    with pytest.raises(ModelError, match=r"expected .* as the other files have it"):
        load_detector(copy)


def other_index(dimensions, count):
    index = faiss.IndexFlatL2(dimensions)
    index.add(np.zeros((count, dimensions), np.float32))
    return index


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("bank.faiss", other_index(7, 40)),
        ("bank.faiss", other_index(320, 39)),
        ("bank.faiss", faiss.index_factory(320, "HNSW8")),
        ("patch_bank.faiss", other_index(3, 100)),
        ("patch_bank.faiss", faiss.index_factory(40, "PCA8,Flat")),
    ],
)
def test_an_index_of_another_kind_or_size_is_refused(copy, name, index):
    faiss.write_index(index, str(copy / name))
    seal(copy)
    with pytest.raises(ModelError, match="as the other files have it"):
        load_detector(copy)


@pytest.mark.parametrize("name", ["bank.faiss", "patch_bank.faiss", "arrays.safetensors", "bank_images.parquet"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"IxF2" + b"\xff" * 60,
        b"\xff" * 8 + b"{}",
        b"PAR1" + b"\xff" * 100 + b"PAR1",
        pickle.dumps({"mean": [1.0]}),
    ],
)
def test_files_that_are_none_are_one_clear_error(copy, name, content):
    (copy / name).write_bytes(content)
    seal(copy)
    with pytest.raises(ModelError) as refused:
        load_detector(copy)
    assert "\n" not in str(refused.value)


def test_a_size_that_no_file_has_is_not_believed(copy):
    data = bytearray((copy / "bank.faiss").read_bytes())
    data[8:16] = (2**40).to_bytes(8, "little")  # how many vectors there are
    (copy / "bank.faiss").write_bytes(bytes(data))
    seal(copy)
    with pytest.raises(ModelError):
        load_detector(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "bank.faiss/../../x", "run.py"])
def test_files_of_other_names_are_refused(copy, name):
    description = json.loads((copy / "detector.json").read_text())
    description["files"][name] = description["files"].pop("bank.faiss")
    (copy / "detector.json").write_text(json.dumps(description))
    with pytest.raises(ModelError, match="expected the files"):
        load_detector(copy)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format_version": 5}', "null", "\x00", '{"format_version": NaN}'])
def test_a_description_that_is_none_is_one_clear_error(copy, text):
    (copy / "detector.json").write_text(text)
    with pytest.raises(ModelError):
        read_description(copy)


def test_the_seal_changes_with_every_file_the_network_too(copy):
    before, fingerprint = seal_of(copy), read_description(copy).fingerprint
    (copy / "network.bin").write_bytes(b"another network")
    with pytest.raises(ModelError, match="another sha256"):
        load_detector(copy)
    seal(copy)
    # The network is made from the weights and no part of the fingerprint: only the seal tells.
    assert read_description(copy).fingerprint == fingerprint
    assert seal_of(copy) != before
