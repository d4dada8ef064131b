"""Collections, their verdicts and the history of their models, as JSON."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from nightglass.pages.api.answers import (
    BrokenCollection,
    Champion,
    Change,
    Collections,
    CollectionState,
    GivenVerdict,
    Models,
    Night,
    Verdicts,
)
from nightglass.pages.api.refusals import refusals
from nightglass.pages.overview import OverviewRow, build_row
from nightglass.pages.places import open_store, read_all
from nightglass.pages.rights import ReadableCollection, RightsDep
from nightglass.pages.runs import runs_of
from nightglass.settings import read_settings
from nightglass.store import format_time

router = APIRouter(prefix="/api", tags=["collections"])
_LAST_ENTRY = 2**62


@router.get("/collections", responses=refusals(503))
def list_collections(request: Request, rights: RightsDep) -> Collections:
    """Return every collection that the reader may see, what needs a person first."""
    settings = read_settings()
    known, broken = read_all(settings)
    runs, now = runs_of(request), datetime.now(UTC)
    with open_store(settings) as store:
        rows = [build_row(collection, store, runs, now) for name, collection in known.items() if rights.may_read(name)]
    return Collections(
        collections=[_tell_row(row) for row in sorted(rows, key=lambda row: row.urgency)],
        broken=[BrokenCollection(collection=name, problem=text) for name, text in broken if rights.may_read(name)],
    )


@router.get("/collections/{collection}/verdicts", responses=refusals(422, 503))
def list_verdicts(
    collection: ReadableCollection,
    since: Annotated[AwareDatetime | None, Query(description="given or taken back at this moment or later")] = None,
    after: Annotated[int, Query(ge=0, le=_LAST_ENTRY, description="recorded after this entry")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Verdicts:
    """Return verdicts in the order in which they were recorded."""
    with open_store(read_settings()) as store:
        moment = None if since is None else format_time(since)
        found = store.listings.verdicts(collection, since=moment, after=after, limit=limit + 1)
    page = [GivenVerdict.model_validate(verdict.model_dump()) for verdict in found[:limit]]
    return Verdicts(verdicts=page, next_after=page[-1].entry if len(found) > limit else None)


@router.get("/collections/{collection}/models", responses=refusals(422, 503))
def list_models(collection: ReadableCollection, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Models:
    """Return which version was the collection's champion when, newest first."""
    with open_store(read_settings()) as store:
        changes = store.model_history(collection)[:limit]
    return Models(changes=[Change.model_validate(change.model_dump()) for change in changes])


def _tell_row(row: OverviewRow) -> CollectionState:
    champion = row.champion
    return CollectionState(
        collection=row.collection.name,
        description=row.collection.description,
        last_night=row.last and Night.model_validate(row.last.model_dump()),
        missing_nights=list(map(date.fromisoformat, row.missing)),
        failed_nights=[date.fromisoformat(night) for night, _ in row.failed],
        champion=champion
        and Champion(
            model_name=champion.model_name,
            version=champion.version,
            since=datetime.fromisoformat(champion.at),
            by=champion.by,
            reason=champion.reason,
        ),
        shown=row.shown,
        open_verdicts=row.open_verdicts,
    )
