"""Names that come from files lead nowhere else: neither what is written nor what is removed."""

import pytest

from nightglass.errors import InputError
from nightglass.storage import open_folder


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/outside", "..", "a\0b"])
def test_nothing_is_written_or_removed_outside_of_a_folder(tmp_path, name):
    (tmp_path / "outside").write_text("kept")
    folder = open_folder(tmp_path / "inside")
    with pytest.raises(InputError, match="expected a name inside of the folder"):
        folder.write_bytes(name, b"x")
    with pytest.raises(InputError, match="expected a name inside of the folder"):
        folder.remove(name)
    assert (tmp_path / "outside").read_text() == "kept"
    assert not (tmp_path / "inside").exists()


def test_odd_names_inside_are_names(tmp_path):
    folder = open_folder(tmp_path)
    for name in ("a..b/..c", "...", "a b\n", "~root", "${NIGHTGLASS_HOME}", "*"):
        folder.write_bytes(name, name.encode())
        assert folder.read_bytes(name) == name.encode()
        folder.remove(name)
        assert not folder.exists(name)
    assert open_folder(f"{tmp_path}/$HOME").root == f"{tmp_path}/$HOME"
