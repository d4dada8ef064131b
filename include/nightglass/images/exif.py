"""What a camera wrote beside the picture, as far as it says how the picture was taken.

Where it was taken, by whom, and the numbers of camera and lens stay out: they are about people. So do texts of any
length, thumbnails, and whatever only one maker's programs read.
"""

import io
import math
from collections.abc import Callable

from PIL import Image

from nightglass.images.decoding import ImageLimits, read_header
from nightglass.images.png import check_chunks
from nightglass.images.quarantine import QuarantinedError

MOST_CHARACTERS = 80
_MOST_PNG_PIXELS = 25_000_000  # Pillow decodes all of a PNG to look behind its pixels
_EXIF_PART = 0x8769
_PROGRAMS = (
    "",
    "by hand",
    "automatic",
    "aperture first",
    "shutter first",
    "creative",
    "action",
    "portrait",
    "landscape",
)
_METERING = ("", "average", "centre-weighted", "spot", "several spots", "pattern", "part of the picture")
_TURNED = ("", "upright", "mirrored", "turned by 180°", "flipped", "mirrored, turned", "turned by 90° clockwise",
           "mirrored, turned", "turned by 90° anticlockwise")  # fmt: skip


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return " ".join(text.split("\0")[0].split())[:MOST_CHARACTERS] if isinstance(text, str) else ""


def _number(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # what is none raises TypeError or ValueError
    if not math.isfinite(number):
        raise ValueError("expected a finite number")
    return number


def _exposure(value: object) -> str:
    seconds = _number(value)
    return f"1/{round(1 / seconds)} s" if 0 < seconds < 0.4 else f"{seconds:g} s"


def _with_unit(before: str, after: str) -> Callable[[object], str]:
    return lambda value: f"{before}{_number(value):.4g}{after}"


def _one_of(words: tuple[str, ...]) -> Callable[[object], str]:
    return lambda value: words[int(_number(value))] if 0 < _number(value) < len(words) else ""


#: Tag -> what people call it, and how its value is written; first those of the picture's part, then of the EXIF part.
_PICTURE_TAGS: dict[int, tuple[str, Callable[[object], str]]] = {
    0x010F: ("camera's maker", _text),
    0x0110: ("camera", _text),
    0x0131: ("program", _text),
    0x0132: ("file written", _text),
    0x0112: ("orientation", _one_of(_TURNED)),
}
_EXIF_TAGS: dict[int, tuple[str, Callable[[object], str]]] = {
    0x9003: ("taken", _text),
    0x9011: ("offset from UTC", _text),
    0x829A: ("exposure", _exposure),
    0x829D: ("aperture", _with_unit("f/", "")),
    0x8827: ("ISO", lambda value: _with_unit("", "")(value[0] if isinstance(value, tuple) else value)),
    0x9204: ("exposure bias", _with_unit("", " EV")),
    0x920A: ("focal length", _with_unit("", " mm")),
    0xA405: ("focal length as of 35 mm film", _with_unit("", " mm")),
    0x8822: ("exposure program", _one_of(_PROGRAMS)),
    0x9207: ("metering", _one_of(_METERING)),
    0x9209: ("flash", lambda value: "fired" if int(_number(value)) & 1 else "not fired"),
    0xA403: ("white balance", lambda value: "by hand" if int(_number(value)) else "automatic"),
    0xA433: ("lens's maker", _text),
    0xA434: ("lens", _text),
}


def read_exif(data: bytes, name: str, limits: ImageLimits) -> list[tuple[str, str]]:
    """Return names and values, each of at most 80 characters, of those tags that are known to be harmless.

    The values are from outside: escape them. What cannot be read is left out.

    Raises:
        QuarantinedError: It is no image that is ever opened.
    """
    facts = read_header(data, name, limits)
    if facts.format == "PNG" and (facts.width * facts.height > _MOST_PNG_PIXELS or not check_chunks(data)):
        return []
    try:
        whole = Image.open(io.BytesIO(data), formats=["JPEG" if facts.format == "MPO" else facts.format]).getexif()
        parts = ((_PICTURE_TAGS, dict(whole)), (_EXIF_TAGS, dict(whole.get_ifd(_EXIF_PART))))
    except QuarantinedError:
        raise
    except Exception:  # noqa: BLE001  a parser of hostile bytes: OSError, SyntaxError, struct.error, KeyError, …
        return []
    found = []
    for tags, values in parts:
        for tag, (title, write) in tags.items():
            if tag in values and (text := _write(write, values[tag])):
                found.append((title, text))
    return found


def _write(write: Callable[[object], str], value: object) -> str:
    try:
        return write(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, IndexError):
        return ""
