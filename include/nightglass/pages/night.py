"""The page of a night: what was decided and why, the top anomalies, and what people say of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.night.cost import NightCost
from nightglass.night.judged import JudgedNight, judge_nights
from nightglass.night.removals import Notes, read_notes
from nightglass.night.report.cost import build_cost
from nightglass.night.report.gallery import MAX_NEIGHBORS, Entry, Gallery, Neighbor, arrange, entry_without_pictures
from nightglass.night.report.verdicts import build_verdicts
from nightglass.pages.built_nights import BuiltNight, read_night
from nightglass.pages.night_cards import Choice, Order, Word, arrange_cards, build_cards
from nightglass.pages.night_links import NightLinks, build_links
from nightglass.pages.pictures import address
from nightglass.pages.places import find_collection, open_night, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rescored import OtherVersion, read_other_versions
from nightglass.pages.rights import ReadableCollection, RightsDep
from nightglass.pages.runs import runs_of
from nightglass.pages.verdict_words import SOURCE, Words, offer_undo
from nightglass.records import TopAnomaly
from nightglass.settings import read_settings
from nightglass.store import NightRow, Store

router = APIRouter(prefix="/collections/{collection}/nights/{night}")
_TREND_NIGHTS = 30
_FRAME = (320, 320)  # the picture fills it as far as its own proportions allow


@dataclass(frozen=True)
class _Known:
    """What the results know of a night."""

    row: NightRow
    before: str | None
    after: str | None
    words: Words
    judged: list[JudgedNight]
    built: BuiltNight
    versions: list[OtherVersion]
    cost: NightCost | None
    notes: Notes
    links: NightLinks
    seen: int
    undo: dict[str, int | str] | None


@router.get("", response_class=HTMLResponse)
def show_night(
    request: Request,
    collection: ReadableCollection,
    night: date,
    rights: RightsDep,
    sort: Order = "score",
    verdict: Word = "all",
    slice_name: Annotated[str, Query(alias="slice", max_length=500)] = "",
) -> HTMLResponse:
    """Show a published night.

    Raises:
        HTTPException: 404: there is no such night; 409: it is being scored again.
    """
    settings = read_settings()
    known = find_collection(collection, settings)
    with open_store(settings) as store:
        found = _read(request, store, known, night)
    anomalies = found.built.assessment.top_anomalies
    page, name = found.built.page, night.isoformat()
    nights = f"{request.scope.get('root_path', '')}/collections/{collection}/nights"
    chosen = Choice(order=sort, word=verdict, slice=slice_name)
    slices, cards = build_cards(anomalies, found.words, known, name, f"{nights}/{name}", chosen)
    gallery = _link_gallery(
        arrange_cards(anomalies, cards, sort), page.summary.image_threshold, f"{nights}/{name}", found
    )
    return render(
        request,
        "night.html",
        page=replace(
            page,
            gallery=gallery,
            verdicts=build_verdicts(found.judged),
            cost=build_cost(found.cost),
            notes=found.notes.sentences,
        ),
        versions=found.versions,
        row=found.row,
        cards=cards,
        slices=slices,
        chosen=chosen,
        words=found.words.in_bulk(name),
        links=found.links,
        seen=found.seen,
        undo=found.undo,
        may_change=rights.may_change(collection),
        before=found.before and f"{nights}/{found.before}",
        after=found.after and f"{nights}/{found.after}",
    )


def _read(request: Request, store: Store, known: Collection, night: date) -> _Known:
    name, settings = night.isoformat(), read_settings()
    row = store.nights.find(known.name, name)
    if row is None:
        raise HTTPException(404, f"{known.name}: expected a published night, got {name}")
    seen = store.verdict_log.last_entry()  # first: what is said while the rest is read counts as not seen
    next_day = (night + timedelta(days=1)).isoformat()
    words = Words(store.verdict_log.last_words_of_nights(known.name, next_day, _TREND_NIGHTS))
    shown = store.recent_top_anomalies(known.name, next_day, _TREND_NIGHTS)
    trend = store.recent_nights(known.name, name, _TREND_NIGHTS)
    folder = open_night(request, known, name, settings)
    built = read_night(folder, row, trend)
    by = request.state.rights.user_name
    last = store.verdict_log.last_standing(known.name, name, by, SOURCE)
    before, after = store.nights.beside(known.name, name)
    return _Known(
        row=row,
        before=before,
        after=after,
        words=words,
        judged=judge_nights(shown, words.in_effect, known.slices),
        built=built,
        versions=read_other_versions(folder, store.rescored.of_night(known.name, name)),
        cost=store.costs.find(known.name, name),
        notes=read_notes(store, known.name, name),
        links=build_links(known, name, runs_of(request)),
        seen=seen,
        undo=offer_undo(last, built.assessment.top_anomalies),
    )


def _link_gallery(anomalies: Sequence[TopAnomaly], threshold: float, night: str, found: _Known) -> Gallery | None:
    """Return the gallery with addresses of pictures where the report has the pictures themselves."""
    if not anomalies:
        return None
    row = found.row
    if gone := found.notes.pictures_gone:
        return arrange([entry_without_pictures(image, gone) for image in anomalies], len(anomalies), threshold)
    entries = [
        Entry(
            anomaly=image,
            photo=address(night, image.image, row),
            overlay=address(night, image.anomaly_map, row),
            size=_FRAME,
            problem="",
            neighbors=[
                Neighbor(near.path, near.distance, near.thumbnail and address(night, near.thumbnail, row))
                for near in image.neighbors[:MAX_NEIGHBORS]
            ],
        )
        for image in anomalies
    ]
    return arrange(entries, len(entries), threshold)
