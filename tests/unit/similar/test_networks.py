"""Which versions can be compared: those of one network, and nobody guesses."""

import json
import shutil
import threading

import pytest

from nightglass.errors import StorageError
from nightglass.records import ModelRef
from nightglass.registry import Registry
from nightglass.settings import Settings
from nightglass.similar import networks
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


def test_an_mlflow_that_does_not_answer_is_told_and_asked_again(model, settings, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    silent = settings.model_copy(update={"tracking_url": "http://127.0.0.1:9"})
    for _ in range(2):
        with pytest.raises(StorageError, match="does not answer"):
            find_network(ref("5"), silent)
    copy(model, silent, "5")
    assert find_network(ref("5"), silent) is not None


def test_two_small_files_of_the_registry_are_enough(model, settings):
    version = Registry.open(settings).register_detector(model, name=NAME, params={}, metrics={}, tags={})
    copy(model, settings, "99")
    assert find_network(ref(version), settings) == find_network(ref("99"), settings)
    assert not (settings.home / "models" / NAME / version).exists()  # the detector was not fetched


def test_a_slow_question_keeps_only_those_waiting_who_ask_the_same(settings, monkeypatch):
    started, go, asked = threading.Event(), threading.Event(), []

    def fetch(version, _):
        asked.append(version.version)
        if version.version == "1":
            started.set()
            go.wait()

    monkeypatch.setattr(networks, "fetch_description", fetch)
    other = settings.model_copy(update={"tracking_url": "http://127.0.0.1:9"})
    slow = [threading.Thread(target=find_network, args=(ref("1"), other)) for _ in range(3)]
    for thread in slow:
        thread.start()
    started.wait()
    quick = threading.Thread(target=find_network, args=(ref("2"), other))
    quick.start()
    quick.join(20)
    was_quick = not quick.is_alive()
    go.set()
    for thread in slow:
        thread.join()
    assert was_quick
    assert asked == ["1", "2"]
