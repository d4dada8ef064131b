"""The page of one image: what it shows, what a hostile file can make it do, and what is recorded."""

import os
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image, ImageFile

from nightglass.retraining.verdicts import NewVerdict
from tests.conftest import draw_panel, png_with_size
from tests.unit.night.test_report import HOSTILE, make_anomalies
from tests.unit.pages.published_nights import encode, jpeg_with_exif, panels, publish
from tests.unit.similar.scored_nights import sha, unit, write_scores

NIGHT = "/collections/cells/nights/2026-07-24"
SCRIPT = "<script>alert(1)</script>"


def address(data, *parts):
    return "/".join((f"{NIGHT}/images/{sha(data)}", *parts))


@pytest.fixture
def files():
    """Three panels and a photograph."""
    return panels(1, 2, 3) | {"line-2/photo.jpg": encode(Image.new("RGB", (4000, 3000), (90, 120, 150)), "JPEG")}


@pytest.fixture
def night(settings, store, files):
    """They are a published night; the folder of its images."""
    images, _ = publish(settings, store, files, [unit(seed) for seed in range(4)])
    return images


def publish_one(settings, store, data, path="a.png", **more):
    return publish(settings, store, {path: data}, [unit(0)], **more)[0]


def decode(answer):
    assert answer.status_code == 200, answer.text
    import io

    return Image.open(io.BytesIO(answer.content))


def test_an_image_is_shown_with_its_score_in_words(ana, night, files):
    text = ana.get(address(files["line-1/panel 2.png"])).text
    assert "line-1/panel 2.png" in text
    assert "1.01" in text
    assert "Below the threshold: like the good images" in text
    assert "good/&lt;i&gt;1&lt;/i&gt;.png" in text  # the nearest good image
    assert sha(files["line-1/panel 2.png"]) in text
    assert "which scored this night, is not the champion" in text  # so there is no map
    assert text.count("<script") == 1


def test_pictures_are_encoded_anew_and_bounded(ana, night, files):
    large = decode(ana.get(address(files["line-2/photo.jpg"], "picture")))
    small = decode(ana.get(address(files["line-2/photo.jpg"], "thumbnail")))
    assert (large.format, large.size) == ("JPEG", (1600, 1200))
    assert (small.format, small.size) == ("JPEG", (256, 192))
    panel = ana.get(address(files["line-1/panel 1.png"], "picture"))
    assert panel.headers["Content-Type"] == "image/jpeg"
    assert decode(panel).size == (120, 120)


def test_names_verdicts_and_exif_are_text_and_nothing_else(ana, settings, store):
    data = jpeg_with_exif(
        {0x010F: SCRIPT, 0x0110: "cam\u202eera", 0x0131: "{{ 7 * 7 }}" + "x" * 5000},
        {0x9003: "'\"><img src=x onerror=alert(1)>", 0xA434: b"\xff\xfe\x00<svg onload=alert(1)>"},
    )
    name = HOSTILE.replace("/", "").replace("\x00", "") + ".jpg"
    images = settings.home.parent / "images/cells/2026-07-24"
    images.mkdir(parents=True)
    publish(settings, store, {name: data}, [unit(0)])
    with store:
        said = NewVerdict(night="2026-07-24", scope="image", path=name, sha256=sha(data), verdict="defect",
                          by="<b>olu</b>", note=f"{SCRIPT}\u202e", source="cli")  # fmt: skip
        store.add_verdicts("cells", [said], datetime.now(UTC))
    text = ana.get(address(data)).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("<script") == 1
    assert "<img src=x" not in text
    assert "<svg onload" not in text
    assert "<b>olu" not in text
    assert "{{ 7 * 7 }}" in text
    assert "x" * 200 not in text
    assert "\u202e" not in text


def test_place_names_and_serial_numbers_stay_out(ana, settings, store):
    data = jpeg_with_exif(
        {0x010F: "Maker", 0x013B: "Jane Doe", 0x8298: "(c) Jane", 0x010E: "my garden"},
        {0x829A: 0.004, 0x829D: 2.8, 0x8827: 400, 0xA430: "Owner Name", 0xA431: "SN-12345", 0xA435: "LENS-777",
         0x9286: b"ASCII\0\0\0secret comment", 0x927C: b"maker note"},
        {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)},
    )  # fmt: skip
    publish_one(settings, store, data, "a.jpg")
    text = ana.get(address(data)).text
    for shown in ("Maker", "1/250 s", "f/2.8", "400"):
        assert shown in text
    for hidden in ("Jane", "garden", "Owner", "SN-12345", "LENS-777", "secret", "maker note", "52.0", "GPS"):
        assert hidden not in text, hidden


@pytest.mark.parametrize("damage", [slice(0, 40), slice(30, 60), slice(20, 200)])
def test_damaged_exif_is_left_out(ana, settings, store, damage):
    data = bytearray(jpeg_with_exif({0x010F: "Maker"}, {0x829A: 0.004}))
    start = data.index(b"Exif\0\0") + 6
    data[start + damage.start : start + damage.stop] = b"\xff" * (damage.stop - damage.start)
    publish_one(settings, store, bytes(data), "a.jpg")
    assert ana.get(address(bytes(data))).status_code == 200


def test_a_file_that_is_gone_or_changed_is_told(ana, night, files):
    gone, changed = files["line-1/panel 1.png"], files["line-1/panel 2.png"]
    (night / "line-1/panel 1.png").unlink()
    (night / "line-1/panel 2.png").write_bytes(encode(draw_panel(77)))
    for data, reason in ((gone, "no longer there"), (changed, "another content")):
        page = ana.get(address(data))
        assert page.status_code == 200
        assert reason in page.text
        for part in ("picture", "thumbnail"):
            answer = ana.get(address(data, part), headers={"Accept": "application/json"})
            assert answer.status_code == 404
            assert reason in answer.json()["error"]


def test_the_picture_that_was_kept_stands_in_for_a_file_that_is_gone(ana, settings, store, files):
    (top,) = make_anomalies(settings.home / "nights/cells/2026-07-24", 1)
    data = files["line-1/panel 1.png"]
    top = top.model_copy(update={"sha256": sha(data), "path": "line-1/panel 1.png"})
    images, _ = publish(settings, store, files, [unit(seed) for seed in range(4)], top=[top])
    assert "rank 1 of the night" in ana.get(address(data)).text
    overlay = ana.get(address(data, "map"))
    assert (overlay.status_code, overlay.headers["Content-Type"]) == (200, "image/webp")
    shutil.rmtree(images)
    text = ana.get(address(data)).text
    assert "the picture that was kept with the night" in text
    assert f"{NIGHT}/pictures/0001.neighbor-1.jpg" in text
    assert decode(ana.get(address(data, "picture"))).size == (120, 90)


@pytest.mark.parametrize("make", ["link", "pipe", "folder", "absolute", "dots", "nul"])
def test_nothing_outside_of_the_folder_is_ever_opened(ana, settings, store, tmp_path, make):
    """The scores say any path, and the content that they say is that of a real image elsewhere."""
    data = encode(draw_panel(5))
    secret = tmp_path / "secret.png"
    secret.write_bytes(data)
    path = {"absolute": str(secret), "dots": "../../../secret.png", "nul": "a\0.png"}.get(make, "a.png")
    images = publish_one(settings, store, data)
    write_scores(settings.home / "nights/cells/2026-07-24", {path: sha(data)}, [unit(0)])
    (images / "a.png").unlink()
    if make == "link":
        (images / "a.png").symlink_to(secret)
    elif make == "pipe":
        os.mkfifo(images / "a.png")
    elif make == "folder":
        (images / "a.png").mkdir()
    answer = ana.get(address(data, "picture"), headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert "cannot be shown" in answer.json()["error"]
    assert ana.get(address(data)).status_code == 200


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png_with_size(60_000, 60_000), "too_many_pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "not_an_image"),
        (b"<html><script>alert(1)</script>", "not_an_image"),
        (encode(draw_panel(1))[:900], "truncated"),
        (encode(draw_panel(1), "JPEG")[:900], "truncated"),
        (b"", "empty_file"),
    ],
)
def test_what_is_no_picture_is_told_and_never_handed_out(ana, settings, store, data, reason):
    publish_one(settings, store, data)
    answer = ana.get(address(data, "picture"), headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert reason in answer.json()["error"]
    page = ana.get(address(data))
    assert page.status_code == 200
    assert "onload" not in page.text


def test_a_verdict_is_given_and_all_are_shown(ana, night, files, store):
    data = files["line-1/panel 3.png"]

    def say(word, **more):
        return ana.post(address(data, "verdict"), json={"verdict": word, **more}, headers={"X-Nightglass": "1"})

    told = say("defect", note="a crack")
    assert told.status_code == 200, told.text
    assert (told.json()["verdict"], told.json()["by"]) == ("defect", "ana")
    say("normal")
    with store:
        first, second = store.verdicts("cells")
    assert (first.path, first.sha256, first.night, first.source) == (
        "line-1/panel 3.png",
        sha(data),
        "2026-07-24",
        "page",
    )
    assert (first.verdict, first.note, second.verdict) == ("defect", "a crack", "normal")
    text = ana.get(address(data)).text
    assert "a crack" in text
    assert text.count("(in effect)") == 1
    assert 'data-word="normal" aria-pressed="true"' in text


@pytest.mark.parametrize(
    ("user", "headers", "body", "status"),
    [
        ("olu", {}, {}, 403),  # reads only
        ("eve", {}, {}, 403),
        ("ana", {"X-Nightglass": ""}, {}, 403),
        ("ana", {"Sec-Fetch-Site": "cross-site"}, {}, 403),
        ("ana", {}, {"verdict": "<script>"}, 422),
        ("ana", {}, {"by": "olu"}, 422),
        ("ana", {}, {"note": "x" * 1001}, 422),
    ],
)
def test_only_whoever_may_gives_verdicts(ana, night, files, store, user, headers, body, status):
    ana.headers["X-Test-User"] = user
    sent = {"X-Nightglass": "1", "Accept": "application/json"} | headers
    answer = ana.post(address(files["line-1/panel 3.png"], "verdict"), json={"verdict": "defect"} | body, headers=sent)
    assert answer.status_code == status, answer.text
    with store:
        assert store.verdicts("cells") == []


def test_readers_of_other_collections_see_nothing(ana, night, files):
    data = files["line-1/panel 3.png"]
    ana.headers["X-Test-User"] = "eve"
    for part in ("", "picture", "thumbnail", "map", "neighbors", "similar"):
        assert ana.get(address(data, part).rstrip("/")).status_code == 403, part


def test_what_is_not_there_is_told_in_one_line(ana, night, files, settings):
    data = files["line-1/panel 3.png"]
    for path, status in (
        (f"{NIGHT}/images/{'0' * 64}", 404),
        (f"{NIGHT}/images/{sha(data).upper()}", 422),
        (f"{NIGHT}/images/..%2f..%2fsummary.json", 404),
        (f"/collections/cells/nights/2026-07-23/images/{sha(data)}", 404),
    ):
        for part in ("", "/picture", "/thumbnail", "/map", "/neighbors", "/similar"):
            answer = ana.get(path + part, headers={"Accept": "application/json"})
            assert answer.status_code in {status, 404}, path + part
            assert set(answer.json()) == {"error"}
    (settings.home / "nights/cells/2026-07-24/summary.json").unlink()
    for part in ("", "picture", "map", "similar"):
        answer = ana.get(address(data, part).rstrip("/"), headers={"Accept": "application/json"})
        assert answer.status_code == 409
        assert "scored again" in answer.json()["error"]


def test_a_large_png_is_not_decoded_for_its_exif(ana, settings, store, monkeypatch):
    """Pillow decodes a whole PNG to look for EXIF data behind its pixels."""
    noise = np.random.default_rng(0).integers(0, 255, (5200, 5200), np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = encode(Image.fromarray(noise), compress_level=0, exif=exif)
    publish_one(settings, store, data)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it was decoded"))
    assert ana.get(address(data)).status_code == 200
