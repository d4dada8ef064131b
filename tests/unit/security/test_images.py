"""Images that are made to cost more than they look like: memory, minutes, or a reader that never comes back."""

import io
import os
import resource
import struct
import warnings
import zlib

import pytest
from PIL import Image

from nightglass.collections import Scoring
from nightglass.images.decoding import ImageLimits, decode_pixels, decode_rgb, let_limits_decide, read_header
from nightglass.images.exif import read_exif
from nightglass.images.listing import list_images
from nightglass.images.manifest import build_manifest
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.images.reading import read_image
from nightglass.storage import open_folder
from tests.conftest import draw_panel

LIMITS = ImageLimits(max_pixels=1_000_000, check_suffix=False)
SCAN, END = b"\xff\xda", b"\xff\xd9"


def encode(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def zeros(megabytes):
    """Many zeros in a few kilobytes."""
    return zlib.compress(bytes(megabytes << 20), 9)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, body, extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bmp(width, height):
    header = struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
    return b"BM" + header


def gif(width, height):
    """A GIF of 10 x 10 pixels whose first picture says it is larger."""
    data = bytearray(encode(Image.new("P", (10, 10)), "GIF"))
    place = data.index(b"\x2c")
    data[place + 5 : place + 9] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png(2**32 - 1, 2**32 - 1, zeros(1))),
        ("a.png", png(2**31 - 1, 2, zeros(1))),
        ("a.bmp", bmp(2**31 - 1, -(2**31))),
        ("a.bmp", bmp(-5, 5)),
        ("a.gif", gif(65_535, 65_535)),
        ("a.webp", encode(Image.new("RGB", (1001, 1000)), "WEBP", lossless=True)),
        ("a.tif", encode(Image.new("L", (1001, 1000)), "TIFF", compression="tiff_deflate")),
        ("a.jpg", encode(Image.new("RGB", (1001, 1000)), "JPEG", quality=1)),
        ("a.gif", encode(Image.new("P", (1001, 1000)), "GIF")),
        ("a.mpo", encode(Image.new("RGB", (1001, 1000)), "MPO", save_all=True)),
    ],
)
def test_what_has_too_many_pixels_is_never_decoded_whatever_its_format(name, data):
    let_limits_decide()
    assert len(data) < 60_000
    for decode in (read_header, lambda *args: decode_rgb(*args, 192)):
        with pytest.raises(QuarantinedError) as refused:
            decode(data, name, LIMITS)
        assert refused.value.reason is QuarantineReason.TOO_MANY_PIXELS


def test_only_the_first_of_many_pictures_is_decoded():
    pictures = [Image.new("L", (900, 900), level) for level in range(60)]
    files = {
        "a.tif": {"compression": "tiff_deflate"},
        "a.gif": {},
        "a.webp": {"lossless": True},
    }
    for name, options in files.items():
        image_format = {"tif": "TIFF"}.get(name[2:], name[2:].upper())
        data = encode(pictures[0], image_format, save_all=True, append_images=pictures[1:], **options)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert decode_rgb(data, name, LIMITS, 64).mean() < 3, name
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, name  # KiB; all take 48 MB or more


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + zeros(200)),
        chunk(b"iCCP", b"profile\0\0" + zeros(200)),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zeros(200)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros(200)),
    ],
)
def test_what_unpacks_to_far_more_text_is_refused(extra):
    data = png(10, 10, zlib.compress(bytes(110)), extra)
    with pytest.raises(QuarantinedError):
        decode_rgb(data, "a.png", LIMITS, 64)


def test_more_picture_data_than_the_header_promises_is_not_unpacked():
    data = png(10, 10, zeros(400))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert decode_pixels(data, "a.png", LIMITS, 64).shape == (64, 64)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("kind", [1, 5])
def test_a_thousand_exif_tags_that_share_their_bytes_are_not_copied_a_thousand_times(kind):
    shared, tags = 1_000_000, 1000
    start = 8 + 2 + 12 * tags + 4
    size = shared // (8 if kind == 5 else 1)
    entries = b"".join(struct.pack("<HHII", 40_000 + tag, kind, size, start) for tag in range(tags))
    block = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", tags) + entries + bytes(4) + bytes(shared)
    data = png(10, 10, zlib.compress(bytes(110)), chunk(b"eXIf", block))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        let_limits_decide()
        assert decode_pixels(data, "a.png", LIMITS, 64).shape == (64, 64)
        assert read_exif(data, "a.png", LIMITS) == []
    assert told == []  # one file must not fill the log either
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_of_thousands_of_scans_costs_no_more_than_a_look(mode):
    picture = encode(draw_panel(1, size=1000).convert(mode), "JPEG", progressive=True)
    last = picture.rindex(SCAN)
    bomb = picture[:last] + picture[last:-2] * 5000 + END
    with pytest.raises(QuarantinedError, match=r"scans, limit 100"):  # decoding would take more than a minute
        decode_rgb(bomb, "a.jpg", LIMITS, 64)


def test_an_ordinary_progressive_jpeg_is_scored_whatever_it_carries():
    picture = encode(draw_panel(1, size=500), "JPEG", progressive=True, quality=90)
    plain = decode_rgb(picture, "a.jpg", LIMITS, 64)
    noise = SCAN * 20_000
    segment = b"\xff\xe5" + struct.pack(">H", len(noise) + 2) + noise
    film = picture + b"\0\0\0\x18ftypmp42" + noise * 3  # behind its end, as some phones put it there
    for data in (picture[:2] + segment + picture[2:], film):
        assert (decode_rgb(data, "a.jpg", LIMITS, 64) == plain).all()


def test_a_pipe_in_the_place_of_a_listed_image_holds_nobody_up(tmp_path):
    draw_panel(1).save(tmp_path / "a.png")
    folder = open_folder(tmp_path)
    (listed,) = list_images(folder, (".png",)).images
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(QuarantinedError) as refused:
        read_image(folder, listed.name_on_disk, 10**6)
    assert refused.value.reason is QuarantineReason.NOT_A_FILE


def test_a_tree_too_deep_to_be_opened_is_quarantined_and_the_rest_is_read(tmp_path, monkeypatch):
    draw_panel(1).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(30):  # far beyond the longest path of the system
        os.mkdir("d" * 200)  # noqa: PTH102  relative, on purpose
        os.chdir("d" * 200)
    draw_panel(2).save("b.png")
    manifest = build_manifest(open_folder(tmp_path), (".png",), Scoring(), workers=1)
    rows = manifest.table.select(["path", "reason", "detail"]).to_pylist()
    assert [row["path"] for row in rows if row["reason"] is None] == ["a.png"]
    (deep,) = [row for row in rows if row["reason"]]
    assert (deep["reason"], deep["detail"]) == ("unreadable", "too deep to be opened")
    monkeypatch.undo()
