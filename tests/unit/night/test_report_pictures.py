"""The report's pictures: how anomaly maps are coloured, how large they get, and what is never shown."""

import numpy as np
import pytest
from PIL import Image

from nightglass.night.report.gallery import build_gallery
from nightglass.night.report.images import colour_map, overlay_uri, photo_uri
from nightglass.records import NeighborImage, TopAnomaly
from nightglass.storage import open_folder


@pytest.fixture
def folder(tmp_path):
    """A score folder with an image, its map and a neighbour, and a picture beside the folder."""
    grey = Image.new("L", (60, 40), 120)
    (tmp_path / "scores").mkdir()
    for name in ("scores/image.jpg", "scores/map.png", "scores/near.jpg", "outside.jpg"):
        grey.save(tmp_path / name)
    return tmp_path / "scores"


def build_entry(folder, image="image.jpg", thumbnail="near.jpg"):
    near = NeighborImage(path="good.png", distance=0.5, thumbnail=thumbnail)
    anomaly = TopAnomaly(
        rank=1, path="a.png", sha256="0", image_score=-2.0, is_anomalous=False, image=image,
        anomaly_map="map.png", neighbors=[near],
    )  # fmt: skip
    gallery = build_gallery([anomaly], 1.0, open_folder(folder))
    assert gallery.position(-2.0) == 0
    assert gallery.position(1.0) == 100
    return gallery.entries[0]


def test_an_entry_has_its_image_its_map_and_its_neighbour(folder):
    entry = build_entry(folder)
    assert entry.photo.startswith("data:image/jpeg;base64,")
    assert entry.overlay.startswith("data:image/webp;base64,")
    assert entry.neighbors[0].thumbnail.startswith("data:image/jpeg;base64,")
    assert entry.size == (60, 40)
    assert entry.problem == ""


@pytest.mark.parametrize("damage", ["missing", "cut", "no image"])
def test_a_broken_image_is_named_with_its_problem(folder, damage):
    file = folder / "image.jpg"
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else b"hello")
    entry = build_entry(folder)
    assert entry.photo is None
    assert entry.problem.startswith("image.jpg: expected")


@pytest.mark.parametrize("name", ["../outside.jpg", "x/../../outside.jpg", "..\\outside.jpg", "/etc/passwd"])
def test_a_picture_outside_the_score_folder_is_never_read(folder, name):
    entry = build_entry(folder, image=name, thumbnail=name)
    assert entry.photo is None
    assert entry.problem == f"{name}: expected a file inside the score folder"
    assert entry.neighbors[0].thumbnail is None


def test_no_anomalies_make_no_gallery(folder):
    assert build_gallery([], 1.0, open_folder(folder)) is None


def test_the_overlay_is_clear_where_good_images_are_and_outlines_what_none_shows():
    values = np.zeros((40, 40), dtype=np.uint8)
    values[10:30, 10:30] = 200
    pixels = np.asarray(colour_map(Image.fromarray(values)))
    assert pixels.shape == (40, 40, 4)
    assert (pixels[values == 0][:, 3] == 0).all()
    assert (pixels[10, 10:30, :3] == 255).all()
    assert (pixels[20, 20, :3] != 255).any()
    assert pixels[20, 20, 3] > 0


@pytest.mark.parametrize("size", [(2000, 1500), (3000, 4), (1, 1)])
def test_pictures_keep_to_their_budget(size):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8))
    uri, shown = photo_uri(noise, 20_000)
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) <= 20_000
    assert len(overlay_uri(noise, shown, 20_000)) <= 20_000
