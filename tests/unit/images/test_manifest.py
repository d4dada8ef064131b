import hashlib
import os
from pathlib import Path

import pytest

from nightglass.collections import Scoring
from nightglass.errors import InputError
from nightglass.images.manifest import Manifest, build_manifest
from nightglass.storage import open_folder
from tests.conftest import write_panels


def build(folder: Path, **options: object) -> Manifest:
    return build_manifest(open_folder(folder), (".png", ".jpg"), Scoring(**options), workers=2)


def test_the_manifest_has_every_image_with_its_facts(tmp_path: Path) -> None:
    write_panels(tmp_path, range(5))
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("hello")
    manifest = build(tmp_path)
    rows = {row["path"]: row for row in manifest.table.to_pylist()}
    assert len(manifest) == 6
    assert manifest.ignored == 1
    good = rows["good-00003.png"]
    content = (tmp_path / "good-00003.png").read_bytes()
    assert good["sha256"] == hashlib.sha256(content).hexdigest()
    assert (good["format"], good["mode"], good["width"], good["height"]) == ("PNG", "L", 120, 120)
    assert good["size_bytes"] == len(content)
    assert 60 < good["brightness"] < 140
    assert rows["broken.png"]["reason"] == "not_an_image"
    assert rows["broken.png"]["sha256"] == hashlib.sha256(b"no image").hexdigest()


def test_the_data_version_follows_content_and_names_only(tmp_path: Path) -> None:
    first = build(write_panels(tmp_path / "a", range(4))).data_version
    again = write_panels(tmp_path / "b", range(4))
    os.utime(again / "good-00000.png", (0, 0))
    assert build(again).data_version == first
    (again / "good-00000.png").rename(again / "renamed.png")
    assert build(again).data_version != first
    changed = write_panels(tmp_path / "c", range(4))
    (changed / "good-00000.png").write_bytes((changed / "good-00001.png").read_bytes())
    assert build(changed).data_version != first


def test_a_file_over_the_limit_is_quarantined_unread_but_hashed(tmp_path: Path) -> None:
    content = os.urandom(5000)
    (tmp_path / "large.png").write_bytes(content)
    (row,) = build(tmp_path, max_file_bytes=1000).table.to_pylist()
    assert row["reason"] == "too_large_file"
    assert row["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_folder_without_images_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"expected images \(.png, .jpg\), got none and 1 other files"):
        build(tmp_path)
