"""Search: the images of chosen collections and nights that are most like one that is given or picked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from nightglass.collections import NAME_PATTERN, Collection
from nightglass.images.quarantine import QuarantinedError
from nightglass.pages.bodies import MOST_IMAGE_BYTES, ImageBody
from nightglass.pages.places import open_store, read_all
from nightglass.pages.rendering import render
from nightglass.pages.rights import RightsDep, check_reader
from nightglass.pages.scored import ShownImage, find_shown
from nightglass.pages.similar_images import (
    MOST_NIGHTS,
    Period,
    Question,
    Result,
    ask_elsewhere,
    ask_for_bytes,
    ask_for_shown,
    judge,
    search_nights,
)
from nightglass.settings import Settings, read_settings
from nightglass.similar.search import Found, LeftOut

router = APIRouter()
_MOST_COLLECTIONS = 5  # each has a champion of its own that looks at the image
_DIGITS = "^[0-9a-f]{64}$"


def _empty_is_none(value: object) -> object:
    """A form sends fields that nobody filled in as empty texts."""
    return value or None


Names = Annotated[list[str], Query(max_length=_MOST_COLLECTIONS)]
First = Annotated[date | None, BeforeValidator(_empty_is_none), Query(alias="from")]
Last = Annotated[date | None, BeforeValidator(_empty_is_none), Query(alias="to")]


def choose(rights: RightsDep, collections: Names = []) -> list[Collection]:  # noqa: B006  FastAPI copies it
    """Return the chosen collections.

    Raises:
        HTTPException: 403: one that the reader may not read; also where there is none of that name.
    """
    sound, _ = read_all(read_settings())
    for name in collections:
        if not NAME_PATTERN.fullmatch(name) or name not in sound or not rights.may_read(name):
            raise HTTPException(403, f"expected a collection that you may read, got {name[:63]!r}")
    return [sound[name] for name in dict.fromkeys(collections)]


Chosen = Annotated[list[Collection], Depends(choose)]


@dataclass(frozen=True)
class Answer:
    """What a search found, with verdicts; None where nothing was searched."""

    found: Found
    results: Sequence[Result]


@router.get("/search", response_class=HTMLResponse)
def show_search(
    request: Request,
    rights: RightsDep,
    chosen: Chosen,
    first: First = None,
    last: Last = None,
    collection: str = "",
    night: date | None = None,
    sha256: Annotated[str, Query(pattern=_DIGITS)] | None = None,
) -> HTMLResponse:
    """Show the form, and where an image is picked by its collection, night and sha256 what is like it.

    Raises:
        HTTPException: 403: a collection that the reader may not read; 404: no such image; 409: its night is in work.
    """
    settings = read_settings()
    readable = [known for name, known in read_all(settings)[0].items() if rights.may_read(name)]
    shown, answer = None, None
    if collection and night and sha256:
        shown = find_shown(request, check_reader(collection, rights), night, sha256)
    if shown:
        chosen = chosen or [shown.collection]
        answer = _search_shown(request, shown, chosen, Period(first, last), settings)
    return render(
        request,
        "search.html",
        collections=sorted(readable, key=lambda known: known.name),
        chosen=[known.name for known in chosen] or _preselect(readable, settings),
        first=first,
        last=last,
        shown=shown,
        found=answer and answer.found,
        results=answer.results if answer else [],
        most_nights=MOST_NIGHTS,
        most_collections=_MOST_COLLECTIONS,
        most_mib=MOST_IMAGE_BYTES // 2**20,
        level=3,
    )


def _preselect(readable: Sequence[Collection], settings: Settings) -> list[str]:
    """Return the name of the collection with the newest night; each one more is a champion to load."""
    with open_store(settings) as store:
        newest = [(row.night, known.name) for known in readable for row in store.list_nights(known.name, 1)]
    return [name for _, name in sorted(newest)[-1:]]


@router.post("/search", response_class=HTMLResponse)
def search_upload(
    request: Request,
    chosen: Chosen,
    data: ImageBody,
    first: First = None,
    last: Last = None,
) -> HTMLResponse:
    """Return what is like the image that is the request's body, a piece of the search page; the image is not kept.

    Raises:
        HTTPException: 403: a collection that the reader may not read; 422: the body is no image that a night would
            score.
    """
    if not chosen:
        raise HTTPException(422, "expected at least one collection to search, got none")
    settings = read_settings()
    questions: list[Question] = []
    left_out: list[LeftOut] = []
    for known in chosen:
        try:
            questions.append(ask_for_bytes(request, known, data))
        except QuarantinedError as error:
            raise HTTPException(
                422, f"expected an image that can be scored, got {error.reason}: {error.detail}"
            ) from error
        except HTTPException as error:
            if len(chosen) == 1 or error.status_code != 409:
                raise
            left_out.append(LeftOut(known.name, "", str(error.detail)))
    answer = _answer(search_nights(request, questions, Period(first, last), settings), left_out)
    return render(request, "search_results.html", found=answer.found, results=answer.results, level=3)


def _search_shown(
    request: Request, shown: ShownImage, chosen: Sequence[Collection], period: Period, settings: Settings
) -> Answer:
    questions: list[Question] = []
    left_out: list[LeftOut] = []
    for known in chosen:
        if known.name == shown.collection.name:
            questions.append(ask_for_shown(shown))
            continue
        try:
            questions.append(ask_elsewhere(request, shown, known))
        except HTTPException as error:
            left_out.append(LeftOut(known.name, "", str(error.detail)))
    found = search_nights(request, questions, period, settings, apart_from=shown.sha256)
    return _answer(found, left_out)


def _answer(found: Found, left_out: Sequence[LeftOut]) -> Answer:
    whole = Found(found.similar, found.nights, found.images, [*left_out, *found.left_out])
    return Answer(whole, judge(whole))
