"""Nights as JSON: the decision with its numbers, the top anomalies, the scores."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException

from nightglass.images.slices import slices_of
from nightglass.night.removals import tell_removal
from nightglass.night.report.names import without_credentials
from nightglass.pages import pictures
from nightglass.pages.api.answers import (
    Anomalies,
    Anomaly,
    GivenWord,
    NearImage,
    Night,
    NightDetails,
    Nights,
    Provenance,
    ScoredImage,
    Scores,
)
from nightglass.pages.api.refusals import refusals
from nightglass.pages.api.scores import read_scores
from nightglass.pages.places import find_collection, open_night, open_store
from nightglass.pages.rights import ReadableCollection
from nightglass.pages.settled import check_settled, read_assessment
from nightglass.records import Assessment, TopAnomaly
from nightglass.retraining.verdicts import Verdict, VerdictsInEffect
from nightglass.settings import read_settings
from nightglass.storage import Folder
from nightglass.store import NightRow, Store

router = APIRouter(prefix="/api/collections/{collection}/nights", tags=["nights"])
_MOST_ROWS = 2**40


@router.get("", responses=refusals(422, 503))
def list_nights(
    collection: ReadableCollection,
    before: Annotated[date | None, Query(description="only nights before this one")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Nights:
    """Return the published nights, newest first."""
    day = None if before is None else before.isoformat()
    with open_store(read_settings()) as store:
        found = store.listings.nights(collection, before=day, limit=limit + 1)
    nights = [Night.model_validate(row.model_dump()) for row in found[:limit]]
    return Nights(nights=nights, next_before=nights[-1].night if len(found) > limit else None)


@router.get("/{night}", responses=refusals(404, 409, 422, 503))
def read_night(request: Request, collection: ReadableCollection, night: date) -> NightDetails:
    """Return what was decided of a night, and the numbers and reasons behind it."""
    with open_store(read_settings()) as store:
        row = _find_night(store, collection, night)
    assessed = read_assessment(_open(request, collection, night), row)
    facts = assessed.model_dump(include=NightDetails.model_fields.keys() & Assessment.model_fields.keys())
    return NightDetails.model_validate(
        facts
        | {
            "anomaly_rate": row.anomaly_rate,
            "published_at": row.published_at,
            "provenance": Provenance(
                model_name=assessed.model_name,
                model_version=assessed.model_version,
                data_version=assessed.data_version,
                images_url=without_credentials(assessed.images_url),
                report_url=row.report_url,
                num_neighbors=assessed.num_neighbors,
            ),
        }
    )


@router.get("/{night}/top-anomalies", responses=refusals(404, 409, 422, 503))
def list_top_anomalies(request: Request, collection: ReadableCollection, night: date) -> Anomalies:
    """Return the night's top anomalies with what analysts say of them."""
    pattern, name = find_collection(collection, read_settings()).slices, night.isoformat()
    with open_store(read_settings()) as store:
        row = _find_night(store, collection, night)
        assessed = read_assessment(_open(request, collection, night), row)
        slices = {image.rank: slices_of(image.path, pattern) for image in assessed.top_anomalies}
        subjects = {image.sha256 for image in assessed.top_anomalies} | {name}
        subjects |= {f"{name} {part}" for parts in slices.values() for part in parts}
        verdicts = VerdictsInEffect(store.verdict_log.last_words(collection, subjects))
    address = f"{request.scope.get('root_path', '')}/collections/{collection}/nights/{name}"
    found = [
        _tell_anomaly(image, slices[image.rank], verdicts.find(name, image.sha256, slices[image.rank]), address, row)
        for image in sorted(assessed.top_anomalies, key=lambda image: image.rank)
    ]
    return Anomalies(image_threshold=assessed.image_threshold, top_anomalies=found)


@router.get("/{night}/scores", responses=refusals(404, 409, 422, 503))
def list_scores(
    request: Request,
    collection: ReadableCollection,
    night: date,
    after: Annotated[int, Query(ge=0, le=_MOST_ROWS, description="leave out so many rows")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Scores:
    """Return a page of the night's scores, in the order of its manifest."""
    with open_store(read_settings()) as store:
        row = _find_night(store, collection, night)
        removed = store.upkeep.removals_of_night(collection, night.isoformat())
    if "scores" in removed:
        raise HTTPException(404, f"{collection} {night}: {tell_removal(removed['scores'])}")
    source = _open(request, collection, night)
    check_settled(source, row)
    total, rows = read_scores(source, after, limit) if row.scored else (0, [])
    check_settled(source, row)  # they may have been replaced meanwhile
    is_more = after + len(rows) < total
    scores = [ScoredImage.model_validate(found) for found in rows]
    return Scores(total=total, scores=scores, next_after=after + len(rows) if is_more and rows else None)


def _tell_anomaly(
    image: TopAnomaly, slices: Sequence[str], verdict: Verdict | None, night: str, row: NightRow
) -> Anomaly:
    return Anomaly(
        **image.model_dump(include={"rank", "path", "sha256", "image_score", "is_anomalous"}),
        slices=list(slices),
        picture=pictures.address(night, image.image, row),
        anomaly_map=pictures.address(night, image.anomaly_map, row),
        neighbors=[NearImage(path=near.path, distance=near.distance) for near in image.neighbors],
        verdict=verdict and GivenWord.model_validate(verdict.model_dump()),
    )


def _find_night(store: Store, collection: str, night: date) -> NightRow:
    row = store.nights.find(collection, night.isoformat())
    if row is None:
        raise HTTPException(404, f"{collection}: expected a published night, got {night}")
    return row


def _open(request: Request, collection: str, night: date) -> Folder:
    settings = read_settings()
    return open_night(request, find_collection(collection, settings), night.isoformat(), settings)
