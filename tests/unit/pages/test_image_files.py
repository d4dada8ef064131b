"""The files of images: few are held and decoded at once, whoever asks for them."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import Request
from PIL import Image
from starlette.exceptions import HTTPException

from nightglass.images import decoding
from nightglass.pages import image_files, kept_models
from nightglass.pages.app import create_app
from nightglass.pages.champion import SHOWN_SIDE, shown_size
from nightglass.pages.kept_models import Gate, large_alone
from nightglass.pages.places import find_collection
from nightglass.pages.scored import all_scored
from tests.unit.pages.conftest import People
from tests.unit.pages.published_nights import encode, panels, publish
from tests.unit.similar.scored_nights import sha, unit

NIGHT = "/collections/cells/nights/2026-07-24"


@pytest.fixture
def addresses(settings, store):
    """The images of a published night of eight panels."""
    files = panels(*range(200, 208))
    publish(settings, store, files, [unit(seed) for seed in range(8)])
    return [f"{NIGHT}/images/{sha(data)}" for data in files.values()]


@pytest.fixture
def held(monkeypatch):
    """How many files' bytes were held at once at most, and how long one is held at least."""
    lock, now, most, read = threading.Lock(), [0], [0], image_files.read_original

    def slow(*arguments):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        try:
            return read(*arguments)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(image_files, "read_original", slow)
    return most


def test_pictures_and_camera_data_share_few_places(ana, addresses, held):
    asked = [address + part for address in addresses for part in ("/picture", "")]
    with ThreadPoolExecutor(len(asked)) as pool:
        assert {answer.status_code for answer in pool.map(ana.get, asked)} == {200}
    assert held == [2]


def test_when_the_line_is_full_a_picture_is_refused_and_the_page_says_so(ana, addresses, monkeypatch):
    monkeypatch.setattr(image_files, "gate", Gate(1, 0))
    with image_files.gate.place():
        picture = ana.get(f"{addresses[0]}/picture")
        page = ana.get(addresses[0])
    assert (picture.status_code, page.status_code) == (503, 200)
    assert int(picture.headers["Retry-After"]) > 0
    assert "expected fewer images at once" in page.text
    assert ana.get(f"{addresses[0]}/picture").status_code == 200


def test_whoever_waits_too_long_gives_its_place_in_the_line_back(monkeypatch):
    monkeypatch.setattr(kept_models, "_MOST_GATE_SECONDS", 0.01)
    gate = Gate(1, 1)
    with gate.place():
        for _ in range(3):
            with pytest.raises(HTTPException, match="sooner"), gate.place():
                pass
    with gate.place():
        pass


def test_a_large_picture_waits_for_the_model_s(ana, settings, store, monkeypatch):
    """Of images with very many pixels one is decoded at a time, be it for a picture or for the model."""
    monkeypatch.setattr(kept_models, "_LARGE_PIXELS", 10_000)
    data = encode(Image.new("RGB", (200, 100)))
    publish(settings, store, {"a.png": data}, [unit(0)])
    with ThreadPoolExecutor(1) as pool:
        with large_alone(20_000):
            asked = pool.submit(ana.get, f"{NIGHT}/images/{sha(data)}/picture")
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.5)
        assert asked.result(timeout=30).status_code == 200


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "7", '{"top_anomalies": 7}', '{"top_anomalies": [{"rank": 1}]}', None]
)
def test_top_anomalies_that_cannot_be_read_are_told_and_logged(ana, addresses, settings, caplog, text):
    file = settings.home / f"{NIGHT[1:].replace('collections/cells/nights', 'nights/cells')}/top_anomalies.json"
    file.unlink() if text is None else file.write_text(text)
    with caplog.at_level("ERROR", logger="nightglass"):
        answer = ana.get(addresses[0], headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert "top anomalies cannot be read" in answer.json()["error"]
    assert str(settings.home) not in answer.text
    assert "top_anomalies.json" in caplog.text


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4001), (1537, 769), (1537, 3), (5, 3), (768, 768), (9000, 1)])
def test_a_map_has_the_size_of_the_picture_that_is_shown(size):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    picture = decoding.decode_picture(
        buffer.getvalue(), "", decoding.ImageLimits(10**8, check_suffix=False), SHOWN_SIDE
    )
    shown = shown_size(*size, SHOWN_SIDE)
    assert max(abs(shown[0] - picture.width), abs(shown[1] - picture.height)) <= 1  # Pillow rounds after it averaged
    assert max(shown) == max(picture.size)


def test_credentials_are_asked_for_once_a_collection(settings, store):
    files, asked = panels(1, 2), []
    for day in range(1, 6):
        publish(settings, store, files, [unit(1), unit(2)], day=f"2026-07-0{day}")
    with store:
        rows = store.listings.nights("cells", before=None, limit=10)
    app = create_app(People().authenticate, lambda collection: asked.append(collection.name) or {"anon": True})
    remote = settings.model_copy(update={"nights_url": "s3://bucket/nights"})
    nights = all_scored(Request({"type": "http", "app": app}), find_collection("cells", settings), rows, remote)
    assert asked == ["cells"]
    assert [night.folder.url for night in nights] == [f"s3://bucket/nights/cells/{row.night}" for row in rows]
    assert nights[0].folder.root == f"bucket/nights/cells/{rows[0].night}"
