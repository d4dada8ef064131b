"""Drawn JPEGs: of the size that was asked for, all different, none refused by the strict decoder."""

import hashlib

import pytest

from nightglass.capacity.drawn_images import draw_jpegs
from nightglass.collections import Scoring
from nightglass.images.manifest import build_manifest
from nightglass.storage import open_folder


@pytest.mark.parametrize("megapixels", [0.001, 0.05, 1.0])
def test_images_are_what_was_asked_for(tmp_path, megapixels):
    draw_jpegs(tmp_path, 7, megapixels)
    manifest = build_manifest(open_folder(str(tmp_path)), (".jpg",), Scoring(), workers=1)
    rows = manifest.table.to_pylist()
    assert len(rows) == 7
    assert {row["reason"] for row in rows} == {None}
    assert len({row["sha256"] for row in rows}) == 7
    for row in rows:
        assert row["width"] * row["height"] / 1e6 == pytest.approx(megapixels, rel=0.1)


def test_they_are_the_same_each_time(tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        draw_jpegs(tmp_path / name, 4, 0.01)
        contents.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((tmp_path / name).iterdir())])
    assert contents[0] == contents[1]
