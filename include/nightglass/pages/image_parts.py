"""The parts of an image's page that are asked for by themselves: pictures, the map, the nearest good images."""

from datetime import date

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from nightglass.errors import InputError
from nightglass.images.quarantine import QuarantinedError
from nightglass.pages.image_files import (
    LARGE_SIDE,
    SMALL_SIDE,
    explain,
    find_top,
    make_picture,
    stored_overlay,
    tell_problem,
)
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection
from nightglass.pages.scored import Sha256, ShownImage, find_shown

router = APIRouter(prefix="/collections/{collection}/nights/{night}/images/{sha256}")
#: The page's addresses end with what the night's results are, so that a night that is scored again has others.
_KEPT_BY_BROWSER = {"Cache-Control": "private, max-age=600"}


@router.get("/picture")
def read_large(request: Request, collection: ReadableCollection, night: date, sha256: Sha256) -> Response:
    """Return the image as a large JPEG.

    Raises:
        HTTPException: 404: its file is gone, changed, or cannot be decoded.
    """
    return _answer_picture(request, find_shown(request, collection, night, sha256), LARGE_SIDE)


@router.get("/thumbnail")
def read_small(request: Request, collection: ReadableCollection, night: date, sha256: Sha256) -> Response:
    """Return the image as a small JPEG.

    Raises:
        HTTPException: 404: its file is gone, changed, or cannot be decoded.
    """
    return _answer_picture(request, find_shown(request, collection, night, sha256), SMALL_SIDE)


@router.get("/map")
def read_map(request: Request, collection: ReadableCollection, night: date, sha256: Sha256) -> Response:
    """Return the anomaly map, coloured and see-through: the night's own, or the champion's where it scored the night.

    Raises:
        HTTPException: 404: the file is gone; 409: another version scored the night; 503: too many are waiting.
    """
    shown = find_shown(request, collection, night, sha256)
    top = find_top(shown)
    try:
        overlay = stored_overlay(shown, top) if top else explain(request, shown).overlay
    except QuarantinedError as error:
        raise HTTPException(404, tell_problem(error)) from error
    shown.check_settled()
    return Response(overlay, media_type="image/webp", headers=_KEPT_BY_BROWSER)


@router.get("/neighbors", response_class=HTMLResponse)
def show_neighbors(request: Request, collection: ReadableCollection, night: date, sha256: Sha256) -> HTMLResponse:
    """Return the list of the nearest good images as the champion sees it, a piece of the image's page.

    Raises:
        HTTPException: As `read_map`.
    """
    shown = find_shown(request, collection, night, sha256)
    try:
        return render(request, "image_neighbors.html", neighbors=explain(request, shown).neighbors)
    except QuarantinedError as error:
        raise HTTPException(404, tell_problem(error)) from error


def _answer_picture(request: Request, shown: ShownImage, side: int) -> Response:
    try:
        picture = make_picture(request, shown, side)
    except QuarantinedError as error:
        raise HTTPException(404, tell_problem(error)) from error
    except InputError as error:
        raise HTTPException(404, f"the picture cannot be shown: {error}") from error
    shown.check_settled()
    return Response(picture, media_type="image/jpeg", headers=_KEPT_BY_BROWSER)
