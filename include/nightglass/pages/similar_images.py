"""Similar images of many nights: which nights are looked into, and with what vector."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.slices import slices_of
from nightglass.night.removals import tell_removal
from nightglass.pages.champion import KeptChampion, kept_champion
from nightglass.pages.comparing import Comparer
from nightglass.pages.image_files import gate, read_source
from nightglass.pages.places import open_store, read_all
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection
from nightglass.pages.scored import Sha256, ShownImage, all_scored, find_shown, shelf
from nightglass.pages.settled import is_settled
from nightglass.records import ModelRef
from nightglass.retraining.verdicts import Verdict, VerdictsInEffect
from nightglass.settings import Settings, read_settings
from nightglass.similar.looking import Asked
from nightglass.similar.night import ScoredNight, UnfinishedNightError
from nightglass.similar.search import Found, LeftOut, SimilarImage, find_similar
from nightglass.similar.vectors import read_vector
from nightglass.store import NightRow

router = APIRouter(prefix="/collections/{collection}/nights/{night}/images/{sha256}")
MOST_NIGHTS = 100
_NIGHTS_BESIDE_AN_IMAGE = 30
_TOO_OLD = "its embeddings were removed as too old"
_SHOWN, _SHOWN_BESIDE_AN_IMAGE = 24, 12
_CLOSENESS = ((0.999, "the same, or nearly"), (0.95, "very similar"), (0.85, "similar"), (0.6, "somewhat similar"))


@dataclass(frozen=True)
class Period:
    """The nights that are looked into; None is without end. At most `MOST_NIGHTS`, the newest of each collection."""

    first: date | None
    last: date | None


@dataclass(frozen=True)
class Question:
    """A vector ``(1, 128)`` to look for, as a version of a collection's model made it."""

    collection: Collection
    vector: NDArray[np.float32]
    made_by: ModelRef


@dataclass(frozen=True)
class Result:
    """A similar image with the verdict that holds for it."""

    image: SimilarImage
    verdict: Verdict | None

    @property
    def closeness(self) -> str:
        """The similarity in a word.

        A third of the demo's cells has a neighbour above 0.95; of pairs drawn at random one in twenty is above 0.82.
        """
        for limit, words in _CLOSENESS:
            if self.image.similarity >= limit:
                return words
        return "not very similar"


@router.get("/similar", response_class=HTMLResponse)
def show_similar(request: Request, collection: ReadableCollection, night: date, sha256: Sha256) -> HTMLResponse:
    """Return the images of the collection's last nights that are most similar, a piece of the image's page.

    Raises:
        HTTPException: 404: no such night or image; 409: the night is being scored again.
    """
    settings = read_settings()
    shown = find_shown(request, collection, night, sha256)
    found = search_nights(
        request,
        [ask_for_shown(shown)],
        Period(None, None),
        settings,
        apart_from=sha256,
        most_nights=_NIGHTS_BESIDE_AN_IMAGE,
        top_k=_SHOWN_BESIDE_AN_IMAGE,
    )
    return render(request, "search_results.html", found=found, results=judge(found), level=3)


def ask_for_shown(shown: ShownImage) -> Question:
    """Return the question for what is like an image of a night, with the vector that the night's index has.

    Raises:
        HTTPException: 404: its embeddings were removed as too old; 409: the night is being scored again.
    """
    if gone := shown.removed.get("embeddings"):
        raise HTTPException(404, f"{shown.night.where}: {tell_removal(gone)}")
    try:
        vector = read_vector(shown.night, shown.found.row, shown.found.stamp)
    except UnfinishedNightError as error:
        raise HTTPException(409, f"{error}; look again in some minutes") from error
    made_by = ModelRef(name=shown.row.model_name, version=shown.row.model_version)
    return Question(shown.collection, vector, made_by)


def ask_for_bytes(request: Request, collection: Collection, data: bytes) -> Question:
    """Return the question for what is like an image that is no part of any night, as the champion sees it.

    Raises:
        QuarantinedError: It is no image that a night would score.
        HTTPException: 409: the collection has no champion; 503: too many are waiting.
    """
    return _ask(kept_champion(request, collection), collection, data)


def ask_elsewhere(request: Request, shown: ShownImage, collection: Collection) -> Question:
    """Return the question for what is like an image of a night in the nights of another collection.

    Raises:
        HTTPException: 422: its file is gone; 409 and 503 as `ask_for_bytes`.
    """
    champion = kept_champion(request, collection)
    try:
        with gate.place():
            return _ask(champion, collection, read_source(request, shown))
    except QuarantinedError as error:
        raise HTTPException(422, f"the image's own file is needed for this: {error.detail}") from error


def search_nights(
    request: Request,
    questions: Sequence[Question],
    period: Period,
    settings: Settings,
    *,
    apart_from: str | None = None,
    most_nights: int = MOST_NIGHTS,
    top_k: int = _SHOWN,
) -> Found:
    """Search the newest nights of each question's collection; what cannot be compared is left out and told."""
    asked: list[Asked] = []
    left_out: list[LeftOut] = []
    published: dict[ScoredNight, NightRow] = {}
    comparer = Comparer(settings)
    for question in questions:
        rows = list_rows(question.collection.name, period, settings, most_nights)
        nights = all_scored(request, question.collection, rows, settings)
        with open_store(settings) as store:
            removed = store.upkeep.removals(question.collection.name)
        published |= zip(nights, rows, strict=True)
        for night, row in zip(nights, rows, strict=True):
            scored_by = ModelRef(name=row.model_name, version=row.model_version)
            reason, is_exact = comparer.compare(question.made_by, scored_by)
            if {"embeddings", "scores"} & removed.get(row.night, set()):
                reason = _TOO_OLD
            if reason:
                left_out.append(LeftOut(row.collection, row.night, reason))
            else:
                asked.append(Asked(night, question.vector, is_exact))
    asked.sort(key=lambda one: one.night.night, reverse=True)

    def is_published(night: ScoredNight) -> bool:
        return is_settled(night.folder, published[night])

    found = find_similar(asked, shelf(settings), top_k, apart_from=apart_from, is_settled=is_published)
    return Found(found.similar, found.nights, found.images, [*left_out, *found.left_out])


def list_rows(collection: str, period: Period, settings: Settings, limit: int) -> list[NightRow]:
    """Return the collection's newest nights of a period that have scores, newest first."""
    before = (period.last + timedelta(days=1)).isoformat() if period.last and period.last < date.max else None
    first = period.first.isoformat() if period.first else ""
    with open_store(settings) as store:
        rows = store.listings.nights(collection, before=before, limit=limit)
    return [row for row in rows if row.night >= first and row.scored]


def judge(found: Found) -> list[Result]:
    """Return the similar images, each with the verdict that holds for it."""
    settings = read_settings()
    patterns = {name: known.slices for name, known in read_all(settings)[0].items()}
    slices = [slices_of(image.path, patterns.get(image.night.collection)) for image in found.similar]
    subjects: dict[str, set[str]] = defaultdict(set)
    for image, names in zip(found.similar, slices, strict=True):
        night = image.night.night
        subjects[image.night.collection] |= {image.sha256, night, *(f"{night} {name}" for name in names)}
    with open_store(settings) as store:
        said = {name: VerdictsInEffect(store.verdict_log.last_words(name, some)) for name, some in subjects.items()}
    return [
        Result(image, said[image.night.collection].find(image.night.night, image.sha256, names))
        for image, names in zip(found.similar, slices, strict=True)
    ]


def _ask(champion: KeptChampion, collection: Collection, data: bytes) -> Question:
    look = champion.look_at(data, "")
    return Question(collection, look.projected[None, :], ModelRef(name=champion.model_name, version=look.version))
