"""Pictures of a night's top anomalies: only what the engine wrote, and encoded anew: no file goes out as it is."""

import io
import re
from datetime import date

from fastapi import APIRouter, Request, Response
from PIL import Image
from starlette.exceptions import HTTPException

from nightglass.night.report.images import colour_map, open_picture
from nightglass.pages.places import find_collection, open_night
from nightglass.pages.rights import ReadableCollection
from nightglass.settings import read_settings

router = APIRouter(prefix="/collections/{collection}/nights/{night}/pictures")
_FOLDER = "anomaly_maps"
_NAME = re.compile(r"\d{4,}\.(image\.jpg|map\.png|neighbor-\d+\.jpg)")
_SIDE = 640


def address(night: str, file: str, sha256: str) -> str:
    """Return where the page of ``night`` finds a picture of its score folder.

    The content that it is about makes it another address when a night that is scored again has others.
    """
    return f"{night}/pictures/{file.removeprefix(f'{_FOLDER}/')}?{sha256[:12]}"


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
    picture = open_picture(source, f"{_FOLDER}/{name}")
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if name.endswith(".map.png"):
        colour_map(picture.convert("L")).save(buffer, "WEBP", quality=80, method=2)
    else:
        picture.convert("RGB").save(buffer, "JPEG", quality=85)
    kind = "image/webp" if name.endswith(".map.png") else "image/jpeg"
    return Response(buffer.getvalue(), media_type=kind, headers={"Cache-Control": "private, max-age=600"})
