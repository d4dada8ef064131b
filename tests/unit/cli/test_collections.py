"""How a command finds a collection: by its file, or by its name."""

from pathlib import Path

import pytest

from nightglass.cli.common import named_collection
from nightglass.errors import ConfigurationError, InputError

SOUND = "images: /data/{night}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "collections"
    folder.mkdir()
    monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    (folder / "cells.yaml").write_text(SOUND)
    (folder / "broken.yml").write_text("imges: x\n")
    return folder


def test_by_its_name_or_its_file(folder: Path, tmp_path: Path) -> None:
    (folder / "line.yml").write_text(SOUND + "name: line-7\n")
    (tmp_path / "own.yaml").write_text(SOUND)
    for value, file, name in (
        ("cells", folder / "cells.yaml", "cells"),
        ("line-7", folder / "line.yml", "line-7"),
        ("line", folder / "line.yml", "line-7"),
        ("own.yaml", Path("own.yaml"), "own"),
        (str(folder / "cells.yaml"), folder / "cells.yaml", "cells"),
    ):
        path, collection = named_collection(value)
        assert (path, collection.name) == (file, name)


def test_a_name_comes_before_a_file_of_that_name(folder: Path) -> None:
    (folder / "other.yaml").write_text(SOUND + "name: broken\n")
    assert named_collection("broken")[0] == folder / "other.yaml"


@pytest.mark.parametrize("value", ["none", "", "cells\n", "*"])
def test_an_unknown_name_says_which_there_are(folder: Path, value: str) -> None:
    with pytest.raises(InputError, match=r"expected a YAML file, or a collection of .* \(cells\), got"):
        named_collection(value)


def test_what_is_wrong_is_said_of_the_file_that_was_meant(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"broken\.yml: .*unknown key 'imges'"):
        named_collection("broken")
    with pytest.raises(ConfigurationError, match="expected a readable YAML file"):
        named_collection("nowhere/cells.yaml")
    (folder / "again.yaml").write_text(SOUND + "name: cells\n")
    with pytest.raises(InputError, match=r"expected one file of the name 'cells', got .*again\.yaml, .*cells\.yaml"):
        named_collection("cells")
    with pytest.raises(InputError, match=r"collection of .* \(cells, cells\), got 'none'"):
        named_collection("none")
