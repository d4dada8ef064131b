"""Pictures of a night's top anomalies: only what the engine wrote, and encoded anew: no file goes out as it is."""

import hashlib
import io
import re
from datetime import date
from threading import Lock

from cachetools import LRUCache, cached
from fastapi import APIRouter, Request, Response
from PIL import Image
from starlette.exceptions import HTTPException

from nightglass.errors import InputError
from nightglass.night.report.images import colour_map, decode_picture
from nightglass.pages.places import find_collection, open_night
from nightglass.pages.rights import ReadableCollection
from nightglass.settings import read_settings
from nightglass.store import NightRow

router = APIRouter(prefix="/collections/{collection}/nights/{night}/pictures")
_FOLDER = "anomaly_maps"
_NAME = re.compile(r"\d{4,}\.(image\.jpg|map\.png|neighbor-\d+\.jpg)")
_SIDE = 640
_KEPT_BYTES = 64 * 1024 * 1024  # some 1,500 pictures


def address(night: str, file: str, row: NightRow) -> str:
    """Return where the page of ``night`` finds a picture of its score folder.

    What its results are makes it another address when it is scored again: the browser keeps pictures for a while.
    """
    return f"{night}/pictures/{file.removeprefix(f'{_FOLDER}/')}?{row.result_sha256[:12]}"


@router.get("/{name}")
def read_picture(request: Request, collection: ReadableCollection, night: date, name: str) -> Response:
    """Return a picture as JPEG, or an anomaly map coloured and see-through as WebP.

    Raises:
        HTTPException: 404: no picture can have that name.
        InputError: It is not there, or is no picture.
    """
    if not _NAME.fullmatch(name):
        raise HTTPException(404, f"expected a picture such as 0001.image.jpg, got {name[:100]!r}")
    settings = read_settings()
    source = open_night(request, find_collection(collection, settings), night.isoformat(), settings)
    try:
        data = source.read_bytes(f"{_FOLDER}/{name}")
    except InputError as error:
        raise InputError(f"{name}: expected in the score folder, got nothing there") from error
    is_map = name.endswith(".map.png")
    digest = hashlib.sha256(data).hexdigest()
    headers = {"Cache-Control": "private, max-age=600", "ETag": f'"{digest[:32]}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    encoded = _encode(data, name, digest, is_map=is_map)
    return Response(encoded, media_type="image/webp" if is_map else "image/jpeg", headers=headers)


def _name_content(data: bytes, name: str, digest: str, *, is_map: bool) -> tuple[str, bool]:  # noqa: ARG001
    return digest, is_map


@cached(LRUCache(_KEPT_BYTES, getsizeof=len), key=_name_content, lock=Lock())
def _encode(data: bytes, name: str, digest: str, *, is_map: bool) -> bytes:  # noqa: ARG001  what it is kept by
    """Encode a picture anew, or return it as it was encoded from the same bytes."""
    picture = decode_picture(data, name)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if is_map:
        colour_map(picture.convert("L")).save(buffer, "WEBP", quality=80, method=2)
    else:
        picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
