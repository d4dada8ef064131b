import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from nightglass.images.decoding import ImageLimits, decode_rgb, read_header
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from tests.conftest import draw_panel, png_with_size

LIMITS = ImageLimits(max_pixels=100_000_000)


def gradient(width: int = 300, height: int = 200) -> Image.Image:
    across = np.linspace(0, 255, width)[None, :].repeat(height, axis=0)
    down = np.linspace(255, 0, height)[:, None].repeat(width, axis=1)
    return Image.fromarray(np.stack([across, down, across / 2], axis=2).astype(np.uint8))


def encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noisy_jpeg() -> bytes:
    random = np.random.default_rng(0)
    return encode(Image.fromarray(random.integers(0, 255, (300, 300, 3), dtype=np.uint8)), "JPEG")


def replace_middle(data: bytes, replacement: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + replacement + data[middle + len(replacement) :]


JPEG, PNG = noisy_jpeg(), encode(draw_panel(1), "PNG")


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "empty.jpg", QuarantineReason.EMPTY_FILE),
        (b"just some text", "text.jpg", QuarantineReason.NOT_AN_IMAGE),
        (b"<svg onload='alert(1)'/>", "drawing.png", QuarantineReason.NOT_AN_IMAGE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "program.jpg", QuarantineReason.NOT_AN_IMAGE),
        (JPEG[: len(JPEG) // 2], "half.jpg", QuarantineReason.TRUNCATED),
        (JPEG[:-2], "no-end.jpg", QuarantineReason.TRUNCATED),
        (PNG[: len(PNG) // 2], "half.png", QuarantineReason.TRUNCATED),
        (PNG[:-12], "no-end.png", QuarantineReason.TRUNCATED),
        (replace_middle(JPEG, bytes(500)), "zeros.jpg", QuarantineReason.CORRUPT),
        (replace_middle(PNG, bytes(50)), "zeros.png", QuarantineReason.CORRUPT),
        (png_with_size(60_000, 60_000), "bomb.png", QuarantineReason.TOO_MANY_PIXELS),
        (png_with_size(12_000, 12_000), "large.png", QuarantineReason.TOO_MANY_PIXELS),
        (PNG, "photo.jpg", QuarantineReason.WRONG_SUFFIX),
    ],
)
def test_damaged_files_are_refused_with_their_reason(data: bytes, name: str, reason: QuarantineReason) -> None:
    with pytest.raises(QuarantinedError) as refused:
        decode_rgb(data, name, LIMITS, 224)
    assert refused.value.reason is reason


def test_a_wrong_suffix_can_be_accepted() -> None:
    accepting = ImageLimits(LIMITS.max_pixels, check_suffix=False)
    assert decode_rgb(PNG, "photo.jpg", accepting, 64).shape == (64, 64, 3)


def test_random_bytes_in_a_file_never_raise_anything_else() -> None:
    random = np.random.default_rng(7)
    originals = [
        ("a.jpg", JPEG),
        ("a.png", PNG),
        *((f"a.{name}", encode(gradient(), name.upper())) for name in ("tiff", "webp", "bmp", "gif")),
    ]
    for name, original in originals:
        for _ in range(60):
            data = bytearray(original)
            for place in random.integers(0, len(data), 12):
                data[place] = random.integers(0, 256)
            with contextlib.suppress(QuarantinedError):
                decode_rgb(bytes(data), name, LIMITS, 64)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK", "I;16", "RGB"])
def test_every_mode_gives_rgb_close_to_the_picture(mode: str) -> None:
    grey = gradient().convert("L")
    image = grey.convert("RGB").convert(mode) if mode != "I;16" else None
    if mode == "P":
        image = grey.convert("P")
    if image is None:
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    image_format = "TIFF" if mode == "CMYK" else "PNG"
    decoded = decode_rgb(encode(image, image_format), f"a.{image_format.lower()}", LIMITS, None)
    assert decoded.shape == (200, 300, 3)
    # Black and white dots are the picture only from afar.
    small = [np.asarray(Image.fromarray(a).resize((15, 10), Image.Resampling.BOX)) for a in (decoded, np.asarray(grey))]
    assert np.abs(small[0].mean(axis=2) - small[1]).max() < 12


def test_damage_between_restart_markers_is_found() -> None:
    random = np.random.default_rng(3)
    picture = Image.fromarray(random.integers(0, 255, (300, 300, 3), dtype=np.uint8))
    data = encode(picture, "JPEG", restart_marker_rows=1)
    assert decode_rgb(data, "a.jpg", LIMITS, 64).shape == (64, 64, 3)
    for _ in range(30):
        start = int(random.integers(2000, len(data) - 2000))
        damaged = data[:start] + random.bytes(600).replace(b"\xff", b"\xfe") + data[start + 600 :]
        with pytest.raises(QuarantinedError):
            decode_rgb(damaged, "a.jpg", LIMITS, 64)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
def test_a_much_larger_image_is_shrunk_to_the_same_picture(mode: str) -> None:
    grey = gradient(2000, 1600).convert("L")
    sixteen_bit = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    image = sixteen_bit if mode == "I;16" else grey.convert(mode)
    decoded = decode_rgb(encode(image, "PNG"), "a.png", LIMITS, 64)
    expected = np.asarray(grey.resize((64, 64), Image.Resampling.BOX))
    assert np.abs(decoded[..., 1].astype(int) - expected).max() <= 4


def test_a_little_padding_at_the_end_of_a_jpeg_is_harmless() -> None:
    picture = decode_rgb(JPEG, "a.jpg", LIMITS, 64)
    for data in (JPEG[:-2] + bytes(4) + JPEG[-2:], JPEG + b"appended"):
        assert (decode_rgb(data, "a.jpg", LIMITS, 64) == picture).all()


def test_transparent_places_are_white() -> None:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert (decode_rgb(encode(image, "PNG"), "a.png", LIMITS, None) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(gradient(), "JPEG", exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    decoded = decode_rgb(data, "a.jpg", LIMITS, None)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).max() <= 3


def test_reduced_scale_decoding_is_close_to_a_full_decode() -> None:
    large = gradient(3000, 2000)
    data = encode(large, "JPEG", quality=92)
    full = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    reduced = decode_rgb(data, "a.jpg", LIMITS, 224)
    assert np.abs(reduced.astype(int) - np.asarray(full)).mean() < 1


def test_header_facts_are_read_without_decoding() -> None:
    header = read_header(encode(gradient(), "JPEG"), "a.JPG", LIMITS)
    assert (header.format, header.mode, header.width, header.height) == ("JPEG", "RGB", 300, 200)
