from pathlib import Path

import pyarrow as pa
import pytest

from nightglass.errors import AccessDeniedError, InputError
from nightglass.storage import open_folder
from tests.conftest import SmallDisk


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "new" / "deep")

    def stop_half_way() -> None:
        with folder.writing("a.txt") as path:
            path.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert list((tmp_path / "new/deep").iterdir()) == []
    folder.write_bytes("a.txt", b"whole")
    assert [path.name for path in (tmp_path / "new/deep").iterdir()] == ["a.txt"]
    assert folder.read_bytes("a.txt") == b"whole"


@pytest.mark.parametrize("name", ["100 % done", "what?", "a*b", "[x]", "a#b", "ünï", "{night}", "a::b", "c:d"])
def test_names_with_signs_are_plain_names(tmp_path: Path, name: str) -> None:
    folder = open_folder(tmp_path / name)
    folder.write_bytes("sub/x.txt", b"1")
    assert (tmp_path / name / "sub/x.txt").read_bytes() == b"1"
    assert folder.names("sub") == ["x.txt"]
    assert folder.exists("sub/x.txt")
    folder.remove("sub")
    assert not folder.exists("sub/x.txt")


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_folder("out").write_bytes("x", b"1")
    assert (tmp_path / "out/x").read_bytes() == b"1"


def test_missing_things_are_named(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    with pytest.raises(InputError, match=r"nothing.txt: expected to exist"):
        folder.read_bytes("nothing.txt")
    folder.remove("nothing.txt")
    assert folder.names("nowhere") == []


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"hello")
    with pytest.raises(InputError, match=r"scores.parquet: expected a Parquet file"):
        open_folder(tmp_path).read_table("scores.parquet")


def test_tables_read_back(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    open_folder(tmp_path).write_table("t.parquet", table)
    assert open_folder(tmp_path).read_table("t.parquet").equals(table)
    assert open_folder(tmp_path).read_table("t.parquet", ["b"]).column_names == ["b"]


@pytest.mark.parametrize("address", ["nosuch://bucket/x", "s3a://bucket/x", "zip://x.zip", "s3://", "http://host/x"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"expected a local folder, file:///FOLDER or s3://BUCKET/FOLDER"):
        open_folder(address)


def test_a_file_address_is_percent_encoded(tmp_path: Path) -> None:
    folder = tmp_path / "sp ace #1"
    open_folder(folder.as_uri()).write_bytes("x", b"1")
    assert (folder / "x").read_bytes() == b"1"


def test_taking_a_folder_replaces_the_older_one(tmp_path: Path) -> None:
    out = open_folder(tmp_path)
    out.write_bytes("maps/old.png", b"1")
    out.child(".staged").write_bytes("maps/new.png", b"2")
    out.take(out.child(".staged"), "maps")
    assert out.names("maps") == ["new.png"]


def test_credentials_in_an_address_are_refused_and_never_shown() -> None:
    with pytest.raises(InputError, match="address without credentials") as refused:
        open_folder("s3://key:secret@bucket/x")
    assert "secret" not in str(refused.value)


def test_a_read_only_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AccessDeniedError):
        open_folder(tmp_path / "file").write_bytes("x", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_read_only_disk_is_one_clear_error(small_disk: SmallDisk) -> None:
    with pytest.raises(AccessDeniedError, match="Read-only file system"):
        open_folder(small_disk("ro")).write_bytes("x", b"1")
