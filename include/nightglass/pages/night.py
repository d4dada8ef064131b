"""The page of a night: what was decided and why, the top anomalies, and what people say of them."""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Literal

from cachetools import LRUCache, cached
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from nightglass.engine.results import ASSESSMENT_NAME, SHADOW_NAME
from nightglass.images.slices import slices_of
from nightglass.night.judged import judge_nights
from nightglass.night.report.gallery import MAX_NEIGHBORS, Entry, Gallery, Neighbor, arrange
from nightglass.night.report.page import ReportPage, build_page
from nightglass.night.report.verdicts import build_verdicts
from nightglass.pages.pictures import address
from nightglass.pages.places import find_collection, open_night, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection, RightsDep, WritableCollection
from nightglass.records import Assessment, NightSummary, TopAnomaly
from nightglass.retraining.verdicts import NewVerdict, Verdict, VerdictsInEffect
from nightglass.settings import read_settings
from nightglass.storage import Folder
from nightglass.store import NightRow, Store

router = APIRouter(prefix="/collections/{collection}/nights/{night}")
_TREND_NIGHTS = 30
_KEPT_PAGES = 32
_FRAME = (320, 320)  # the picture fills it as far as its own proportions allow


class GivenVerdict(BaseModel):
    """What somebody says of a top anomaly; ``sha256`` is that of the image that the page showed them."""

    model_config = ConfigDict(extra="forbid")

    rank: int = Field(ge=1, le=1000)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    verdict: Literal["defect", "normal", "unsure"]
    note: str = Field("", max_length=1000)


@router.get("", response_class=HTMLResponse)
def show_night(request: Request, collection: ReadableCollection, night: date, rights: RightsDep) -> HTMLResponse:
    """Show a published night.

    Raises:
        HTTPException: 404: there is no such night; 409: it is being scored again.
    """
    settings, name = read_settings(), night.isoformat()
    known = find_collection(collection, settings)
    source = open_night(request, known, name, settings)
    next_day = (night + timedelta(days=1)).isoformat()
    with open_store(settings) as store:
        before, row, after = _find_row(store, collection, name)
        verdicts = VerdictsInEffect(store.verdicts(collection))
        judged = judge_nights(store.recent_top_anomalies(collection, next_day, _TREND_NIGHTS), verdicts, known.slices)
        trend = store.recent_nights(collection, name, _TREND_NIGHTS)
    if not source.exists(ASSESSMENT_NAME):
        raise HTTPException(409, f"{collection} {name}: the night is being scored again; look again in some minutes")
    assessed = source.read_bytes(ASSESSMENT_NAME)
    page = _build_page(source, trend, assessed, source.read_bytes(SHADOW_NAME) if source.exists(SHADOW_NAME) else b"")
    anomalies = Assessment.model_validate_json(assessed).top_anomalies
    root = f"{request.scope.get('root_path', '')}/collections/{collection}/nights"
    gallery = _link_gallery(anomalies, page.summary.image_threshold, f"{root}/{name}")
    return render(
        request,
        "night.html",
        page=replace(page, gallery=gallery, verdicts=build_verdicts(judged)),
        row=row,
        said={
            image.rank: verdicts.find(name, image.sha256, slices_of(image.path, known.slices)) for image in anomalies
        },
        may_change=rights.may_change(collection),
        before=before and f"{root}/{before}",
        after=after and f"{root}/{after}",
    )


@router.post("/verdicts")
def give_verdict(
    collection: WritableCollection, night: date, given: GivenVerdict, rights: RightsDep
) -> dict[str, str | int]:
    """Record what the person says of one of the night's top anomalies; return the verdict that is in effect.

    Raises:
        HTTPException: 404: the night has no such rank; 409: it has another image there by now.
    """
    settings, name = read_settings(), night.isoformat()
    known = find_collection(collection, settings)
    with open_store(settings) as store:
        image = store.find_top_anomaly(collection, name, given.rank)
        if image is None:
            raise HTTPException(404, f"{collection} {name}: expected a top anomaly of rank {given.rank}, got none")
        if image.sha256 != given.sha256:
            raise HTTPException(409, f"{collection} {name} was scored again since this page was loaded: load it anew")
        verdict = NewVerdict(
            night=name,
            scope="image",
            path=image.path,
            sha256=image.sha256,
            verdict=given.verdict,
            by=rights.user_name,
            note=given.note,
            source="page",
        )
        store.add_verdicts(collection, [verdict], datetime.now(UTC))
        verdicts = VerdictsInEffect(store.verdicts(collection))
    found = verdicts.find(name, image.sha256, slices_of(image.path, known.slices))
    if found is None:
        raise ValueError(f"{collection} {name}: the verdict that was just given is gone")
    return _tell(found) | {"rank": given.rank}


def _name_content(
    source: Folder, trend: Sequence[NightSummary], assessed: bytes, shadow: bytes
) -> tuple[Hashable, ...]:
    content = hashlib.sha256(assessed + b"|" + shadow)
    for night in trend:
        content.update(night.model_dump_json().encode())
    return source.url, content.digest()


@cached(LRUCache(_KEPT_PAGES), key=_name_content, lock=Lock())
def _build_page(source: Folder, trend: Sequence[NightSummary], assessed: bytes, shadow: bytes) -> ReportPage:  # noqa: ARG001
    """Build a night's page, or return it as it was built from the same files: its charts take most of the time."""
    return build_page(source, trend=trend, has_pictures=False)


def _tell(verdict: Verdict) -> dict[str, str | int]:
    return verdict.model_dump(include={"verdict", "by", "at", "scope", "note"})


def _find_row(store: Store, collection: str, night: str) -> tuple[str | None, NightRow, str | None]:
    """Return the night before, the night's row, and the night after; None where there is no such night."""
    rows = store.list_nights(collection, 10_000)
    for place, row in enumerate(rows):
        if row.night == night:
            before = rows[place + 1].night if place + 1 < len(rows) else None
            return before, row, rows[place - 1].night if place else None
    raise HTTPException(404, f"{collection}: expected a published night, got {night}")


def _link_gallery(anomalies: Sequence[TopAnomaly], threshold: float, night: str) -> Gallery | None:
    """Return the gallery with addresses of pictures where the report has the pictures themselves."""
    if not anomalies:
        return None
    entries = [
        Entry(
            anomaly=image,
            photo=address(night, image.image, image.sha256),
            overlay=address(night, image.anomaly_map, image.sha256),
            size=_FRAME,
            problem="",
            neighbors=[
                Neighbor(near.path, near.distance, near.thumbnail and address(night, near.thumbnail, image.sha256))
                for near in image.neighbors[:MAX_NEIGHBORS]
            ],
        )
        for image in sorted(anomalies, key=lambda image: image.rank)
    ]
    return arrange(entries, len(entries), threshold)
