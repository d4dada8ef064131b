from pathlib import Path

import pyarrow as pa
import pytest

from nightglass.errors import InputError
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.retraining.listed_night import ListedNight
from nightglass.storage import open_folder

PATTERN = r"(?P<camera>left|right)/"
PATHS = ["left/A.jpg", "left/b.jpg", "left/copy.jpg", "odd\n'name'.jpg", "right/b.jpg"]


def list_night(folder: Path, contents: dict[str, str | None], pattern: str | None = PATTERN) -> ListedNight:
    rows = [{"path": path, "sha256": contents[path], "size_bytes": 1} for path in sorted(contents, key=str.encode)]
    out = open_folder(folder)
    write_manifest(Manifest(pa.Table.from_pylist(rows, schema=SCHEMA), 0, "version"), out)
    return ListedNight(out, pattern)


@pytest.fixture
def night(tmp_path: Path) -> ListedNight:
    contents: dict[str, str | None] = {path: f"{number:064x}" for number, path in enumerate(PATHS)}
    return list_night(tmp_path, contents | {"left/copy.jpg": f"{1:064x}", "left/empty.jpg": None})


def test_an_image_is_found_with_its_content_and_copies(night: ListedNight) -> None:
    assert len(night) == 6
    assert night.find_content("left/b.jpg") == f"{1:064x}"
    assert night.count_copies(f"{1:064x}") == 2
    assert night.find_content("odd\n'name'.jpg") == f"{3:064x}"
    assert night.find_contents(["left/empty.jpg", "right/b.jpg", "nothing.jpg"]) == {
        "left/empty.jpg": None,
        "right/b.jpg": f"{4:064x}",
    }


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("b.jpg", "near it: 'left/b.jpg', 'right/b.jpg'$"),
        ("LEFT/a.JPG", "near it: 'left/A.jpg'$"),
        ("left/coppy.jpg", "near it: 'left/copy.jpg'"),
        ("xyz", "got 'xyz'$"),
        ("a\n.jpg", r"got 'a\\n\.jpg'"),
    ],
)
def test_an_unknown_image_is_told_with_near_matches(night: ListedNight, path: str, near: str) -> None:
    with pytest.raises(InputError, match=near):
        night.find_content(path)


def test_what_could_not_be_read_has_no_verdict(night: ListedNight) -> None:
    with pytest.raises(InputError, match=r"got 'left/empty\.jpg', which is quarantined"):
        night.find_content("left/empty.jpg")


def test_slices_are_counted(night: ListedNight, tmp_path: Path) -> None:
    assert (night.count_slice("camera=left"), night.count_slice("camera=right")) == (4, 1)
    with pytest.raises(InputError, match=r"such as 'camera=left', 'camera=right'\), got 'camera=lefft'"):
        night.count_slice("camera=lefft")
    with pytest.raises(InputError, match="expected a collection with slices"):
        ListedNight(open_folder(tmp_path), None).count_slice("camera=left")


def test_a_night_that_was_never_listed_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a night that was scored, got no manifest\.parquet"):
        ListedNight(open_folder(tmp_path / "2026-03-14"), None).find_content("a.jpg")


def test_a_near_match_is_found_in_a_large_night(tmp_path: Path) -> None:
    contents: dict[str, str | None] = {f"line-{n % 7}/cell-{n:06d}.jpg": f"{n:064x}" for n in range(20_000)}
    night = list_night(tmp_path, contents)
    with pytest.raises(InputError, match=r"near it: 'line-3/cell-000703\.jpg'"):
        night.find_content("line-3/cell-000703.jpeg")
