"""Which versions can be compared: those of one network, and nobody guesses."""

import json
import shutil

import pytest

from nightglass.records import ModelRef
from nightglass.settings import Settings
from nightglass.similar.networks import find_network

NAME = "nightglass-cells"


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home").resolved()


def copy(model, settings, version, change=None, folder="abc"):
    """Put a local copy of the detector there, as the registry's version."""
    target = settings.home / "models" / NAME / version / folder
    shutil.copytree(model, target)
    if change:
        said = json.loads((target / "detector.json").read_text())
        change(said)
        (target / "detector.json").write_text(json.dumps(said))


def ref(version):
    return ModelRef(name=NAME, version=version)


def test_versions_that_differ_in_their_bank_alone_have_one_network(model, settings):
    copy(model, settings, "1")
    copy(model, settings, "2", lambda said: said["files"].update({"bank.faiss": "0" * 64}))
    assert find_network(ref("1"), settings) == find_network(ref("2"), settings)
    assert find_network(ref("1"), settings) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["files"].update({"backbone.safetensors": "0" * 64}),  # fine-tuned
        lambda said: said["options"]["backbone"].update({"image_size": 256}),
        lambda said: said["options"]["backbone"].update({"stages": [3, 4]}),
    ],
)
def test_other_weights_size_or_stages_are_another_network(model, settings, change):
    copy(model, settings, "1")
    copy(model, settings, "2", change)
    assert find_network(ref("1"), settings) != find_network(ref("2"), settings)


def test_nobody_guesses_where_there_is_no_such_version(model, settings):
    assert find_network(ref("7"), settings) is None
    copy(model, settings, "8", lambda said: said.update({"format_version": 1}))
    assert find_network(ref("8"), settings) is None
    copy(model, settings, "9")
    copy(model, settings, "9", folder="def")  # of two registries: that in use has none
    assert find_network(ref("9"), settings) is None
