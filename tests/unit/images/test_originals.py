"""The file that an image was scored from: by its real name, inside its folder, with its content."""

import hashlib
import os

import pytest

from nightglass.collections import Scoring
from nightglass.images.manifest import build_manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.images.originals import find_name_on_disk, read_original
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.storage import open_folder
from tests.conftest import draw_panel


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_a_name_that_is_no_text_is_found_by_the_manifest(tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    out.mkdir()
    for place, name in enumerate((b"plain.png", b"caf\xe9.png", b"caf\\xe9.png", b"back\\slash.png")):
        draw_panel(place).save(tmp_path / "drawn.png")
        os.rename(tmp_path / "drawn.png", os.fsencode(images) + b"/" + name)  # noqa: PTH104  bytes
    manifest = build_manifest(open_folder(images), (".png",), Scoring(), workers=1)
    write_manifest(manifest, open_folder(out))
    found = {}
    for row in manifest.table.to_pylist():
        name = find_name_on_disk(open_folder(out), row["path"])
        assert sha(read_original(open_folder(images), name, row["sha256"], 10**6)) == row["sha256"]
        found[os.fsencode(name)] = row["path"]
    assert set(found) == {b"plain.png", b"caf\xe9.png", b"caf\\xe9.png", b"back\\slash.png"}


def test_more_bytes_than_allowed_are_not_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x" * 101)
    with pytest.raises(QuarantinedError) as refused:
        read_original(open_folder(tmp_path), "a.png", sha(b"x" * 101), 100)
    assert refused.value.reason is QuarantineReason.TOO_LARGE_FILE


@pytest.mark.parametrize("name", ["/etc/hostname", "../a.png", "b/../../a.png", "", ".", "b//a.png", "a\0.png"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "a.png").write_bytes(b"secret")
    with pytest.raises(QuarantinedError) as refused:
        read_original(open_folder(inside), name, sha(b"secret"), 100)
    assert refused.value.reason is QuarantineReason.LINK_OUTSIDE_FOLDER


def test_a_link_inside_of_the_folder_is_followed_as_the_listing_does(tmp_path):
    (tmp_path / "a.png").write_bytes(b"inside")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert read_original(open_folder(tmp_path), "b.png", sha(b"inside"), 100) == b"inside"
