"""An image as pictures, decoded within bounds and encoded anew; its map, and the good images that are nearest to it."""

import base64
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from PIL import Image
from starlette.exceptions import HTTPException

from nightglass.engine.results import TOP_NAME
from nightglass.errors import InputError
from nightglass.images.decoding import ImageLimits, decode_picture, let_limits_decide, read_header
from nightglass.images.exif import read_exif
from nightglass.images.originals import find_name_on_disk, read_original
from nightglass.images.quarantine import QuarantinedError
from nightglass.night.report.images import colour_map, open_picture
from nightglass.pages.champion import grey_map, kept_champion
from nightglass.pages.kept import Kept
from nightglass.pages.kept_models import Gate, large_alone
from nightglass.pages.places import StorageOptions
from nightglass.pages.scored import ShownImage
from nightglass.records import TopAnomaly
from nightglass.storage import open_folder

LARGE_SIDE, SMALL_SIDE = 1600, 256  # longest side of a picture, pixels
#: A larger file is not read for a page, whatever a night may score.
MOST_FILE_BYTES = 100_000_000
_MOST_NEIGHBORS = 6
#: Whoever holds the bytes of an image's file holds a place here. Of a page's pictures a browser asks for six at once.
gate = Gate(at_once=2, waiting=16)
_log = logging.getLogger(__name__)
_RECORD_BYTES = 2000  # about what a top anomaly with its neighbours takes
_kept: Kept = Kept(64 * 2**20)


@dataclass(frozen=True)
class Near:
    """A good image near to the one shown; ``thumbnail`` is an address, ``""`` where there is no picture."""

    path: str
    distance: float
    thumbnail: str


@dataclass(frozen=True)
class Explanation:
    """What the champion makes of an image now: its map, coloured, as WebP, and the nearest good images."""

    overlay: bytes
    neighbors: Sequence[Near]


def read_source(request: Request, shown: ShownImage) -> bytes:
    """Return the file that the image was scored from; whoever calls it holds a place of the `gate`.

    Raises:
        QuarantinedError: It is gone, changed, too large, or leads out of the images' folder.
        NightglassError: Its store does not answer.
    """
    options: StorageOptions = request.app.state.storage_options
    url = shown.row.images_url
    images = open_folder(url, options(shown.collection) if url.startswith("s3://") else None)
    name = find_name_on_disk(shown.night.folder, shown.path)
    most = min(shown.collection.scoring.max_file_bytes, MOST_FILE_BYTES)
    return read_original(images, name, shown.sha256, most)


def limits_of(shown: ShownImage) -> ImageLimits:
    """Return the decoder's limits; the night's scoring looked at the name already."""
    return ImageLimits(shown.collection.scoring.max_pixels, check_suffix=False)


def read_facts(request: Request, shown: ShownImage) -> list[tuple[str, str]]:
    """Return what a camera wrote into the image's file, as names and values.

    Raises:
        QuarantinedError: As `read_source`, or it is no image that is ever opened.
        NightglassError: Its store does not answer.
        HTTPException: 503: too many images are being read.
    """
    with gate.place():
        return read_exif(read_source(request, shown), "", limits_of(shown))


def make_picture(request: Request, shown: ShownImage, side: int) -> bytes:
    """Return the image as JPEG, no side longer than ``side``; where its file is gone, the picture kept with the night.

    Raises:
        QuarantinedError: The file is gone, changed, or cannot be decoded, and no picture was kept.
        HTTPException: 503: too many pictures are being decoded.
    """
    key = ("picture", shown.night.folder.url, shown.sha256)
    kept: bytes | None = _kept.find(key) if side == SMALL_SIDE else None
    if kept is not None:
        return kept
    with gate.place():
        try:
            picture = _decode(read_source(request, shown), shown, side)
        except QuarantinedError:
            top = find_top(shown)
            if top is None:
                raise
            return _stored_picture(shown, top, side)
    if side != SMALL_SIDE:  # a large one is looked at by itself, and its file again each time
        return _encode(picture, "JPEG", quality=88)
    data = _encode(picture, "JPEG", quality=80)
    _kept.keep(key, data, len(data))
    return data


def find_top(shown: ShownImage) -> TopAnomaly | None:
    """Return what the night's scoring explained of the image; None where it is none of the top anomalies.

    Raises:
        HTTPException: 409: the night is being scored again; 503: what it explained cannot be read.
    """
    if "pictures" in shown.removed:  # then it is an image like all others
        return None
    key = ("top", shown.found.stamp)
    by_content: dict[str, TopAnomaly] | None = _kept.find(key)
    if by_content is None:
        try:
            listed = json.loads(shown.night.folder.read_bytes(TOP_NAME))["top_anomalies"]
            anomalies = [TopAnomaly.model_validate(image) for image in listed]
        except (InputError, ValueError, KeyError, TypeError) as error:  # a wrong record is a ValueError too
            shown.check_settled()
            _log.error("%s/%s: %s", shown.night.folder.url, TOP_NAME, " ".join(str(error).split())[:300])
            told = f"{shown.night.where}: the night's top anomalies cannot be read; the server's log says more"
            raise HTTPException(503, told) from error
        by_content = {image.sha256: image for image in reversed(anomalies)}
        _kept.keep(key, by_content, _RECORD_BYTES * len(by_content))
    return by_content.get(shown.sha256)


def explain(request: Request, shown: ShownImage) -> Explanation:
    """Return map and neighbours of an image that the night's scoring did not explain, as the champion sees it now.

    Raises:
        HTTPException: 409: another version scored the night, or there is no champion; 503: too many are waiting.
        QuarantinedError: The file is gone, changed, or cannot be decoded.
    """
    champion = kept_champion(request, shown.collection)
    if (champion.model_name, champion.version) != (shown.row.model_name, shown.row.model_version):
        scored_by = f"version {shown.row.model_version} of {shown.row.model_name} scored this night"
        raise HTTPException(409, f"{scored_by}; the champion is version {champion.version}: its map would be another")
    # Its number too: an image that was deleted from the detector is no neighbour any more.
    key = ("explanation", shown.night.folder.url, shown.sha256, champion.model_name, champion.version, champion.number)
    kept: Explanation | None = _kept.find(key)
    if kept is not None:
        return kept
    with gate.place():
        look = champion.look_at(read_source(request, shown), "", with_map=True)
    if look.anomaly_map is None:
        raise ValueError(f"{shown.night.where}: expected an anomaly map, got none")
    overlay = _encode(colour_map(Image.fromarray(grey_map(look.anomaly_map))), "WEBP", quality=80, method=2)
    near = [
        Near(one.path, one.distance, f"data:image/jpeg;base64,{base64.b64encode(one.thumbnail).decode('ascii')}")
        for one in look.neighbors[:_MOST_NEIGHBORS]
    ]
    explanation = Explanation(overlay, near)
    _kept.keep(key, explanation, len(overlay) + sum(len(one.thumbnail) + len(one.path) for one in near))
    return explanation


def stored_overlay(shown: ShownImage, top: TopAnomaly) -> bytes:
    """Return the map that the night's scoring wrote, coloured, as WebP.

    Raises:
        InputError: It is not there, or no picture.
        HTTPException: 503: too many images are being read.
    """
    with gate.place():
        grey = open_picture(shown.night.folder, top.anomaly_map).convert("L")
        return _encode(colour_map(grey), "WEBP", quality=80, method=2)


def tell_problem(error: QuarantinedError) -> str:
    """Say to people why an image's file cannot be shown."""
    return f"the image's file cannot be shown: {error.detail} ({error.reason})"


def _stored_picture(shown: ShownImage, top: TopAnomaly, side: int) -> bytes:
    picture = open_picture(shown.night.folder, top.image).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encode(picture, "JPEG", quality=85)


def _decode(data: bytes, shown: ShownImage, side: int) -> Image.Image:
    let_limits_decide()
    facts = read_header(data, shown.path, limits_of(shown))
    with large_alone(facts.width * facts.height):
        return decode_picture(data, shown.path, limits_of(shown), side)


def _encode(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
