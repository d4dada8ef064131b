"""What people say on the page of a night: on an image, on many at once, and what they take back."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.images.slices import slices_of
from nightglass.pages.places import find_collection, open_night, open_store
from nightglass.pages.rendering import fill
from nightglass.pages.rights import ReadableCollection, RightsDep, WritableCollection
from nightglass.pages.settled import check_settled
from nightglass.pages.verdict_bodies import BulkVerdict, GivenVerdict, SliceName, TakenBack
from nightglass.pages.verdict_coverage import count_images
from nightglass.pages.verdict_words import SOURCE, Words, describe, offer_undo, ranks_of, read_words
from nightglass.retraining.verdicts import NewVerdict
from nightglass.settings import read_settings
from nightglass.store import NightImage, NightRow, Store, VerdictChangedError

router = APIRouter(prefix="/collections/{collection}/nights/{night}/verdicts")
Told = dict[str, Any]


@dataclass(frozen=True)
class _Page:
    """What the routes need of a published night."""

    collection: Collection
    row: NightRow
    images: list[NightImage]

    def check_settled(self, request: Request) -> None:
        """Raise HTTPException 409 while the night is being scored again."""
        check_settled(open_night(request, self.collection, self.row.night, read_settings()), self.row)

    def answer(self, request: Request, store: Store, images: Iterable[NightImage]) -> Told:
        """Return what the page shows of some images by now, and what holds for many at once."""
        night, by = self.row.night, request.state.rights.user_name
        words = read_words(store, self.collection, night, self.images)
        last = store.verdict_log.last_standing(self.collection.name, night, by, SOURCE)
        return {
            "said": [self._tell(request, words, image) for image in images],
            "bulk": fill(request, "bulk_words.html", words=words.in_bulk(night)),
            "undo": offer_undo(last, self.images),
        }

    def _tell(self, request: Request, words: Words, image: NightImage) -> Told:
        said = words.of_image(self.row.night, image.sha256, slices_of(image.path, self.collection.slices))
        bar = fill(request, "verdict_bar.html", rank=image.rank, said=said, may_change=True)
        return {
            "rank": image.rank,
            "verdict": said.word,
            "by": said.verdict.by if said.verdict else None,
            "disputed": bool(said.others),
            "html": bar,
        }


@router.post("")
def give_verdict(
    request: Request, collection: WritableCollection, night: date, given: GivenVerdict, rights: RightsDep
) -> Told:
    """Record what the person says of one of the night's top anomalies; return what is in effect.

    Raises:
        HTTPException: 404: the night has no such rank; 409: it has another image there by now, or is being scored
            again: pictures may be of other images by now.
    """
    name = night.isoformat()
    with open_store(read_settings()) as store:
        page = _open_page(store, collection, name)
        page.check_settled(request)
        image = next((image for image in page.images if image.rank == given.rank), None)
        if image is None:
            raise HTTPException(404, f"{collection} {name}: expected a top anomaly of rank {given.rank}, got none")
        if image.sha256 != given.sha256:
            raise HTTPException(409, f"{collection} {name} was scored again since this page was loaded")
        verdict = NewVerdict(
            night=name,
            scope="image",
            path=image.path,
            sha256=image.sha256,
            verdict=given.verdict,
            by=rights.user_name,
            note=given.note,
            source=SOURCE,
        )
        store.add_verdicts(collection, [verdict], datetime.now(UTC))
        return page.answer(request, store, [other for other in page.images if other.sha256 == image.sha256])


@router.post("/bulk")
def give_bulk_verdict(
    request: Request, collection: WritableCollection, night: date, given: BulkVerdict, rights: RightsDep
) -> Told:
    """Record what the person says of a slice of the night or of all of it; return what is in effect.

    Raises:
        HTTPException: 404: there is no such slice; 409: the images are others by now, somebody spoke meanwhile, or the
            night is being scored again.
    """
    name = night.isoformat()
    with open_store(read_settings()) as store:
        page = _open_page(store, collection, name)
        page.check_settled(request)
        images = _count(request, page, given.slice)
        if images != given.images:
            counted = f"it is about {images:,} images by now, not {given.images:,}"
            raise HTTPException(409, f"{collection} {name}: nothing was saved: {counted}")
        verdict = NewVerdict(
            night=name,
            scope="slice" if given.slice else "night",
            slice=given.slice,
            verdict=given.verdict,
            by=rights.user_name,
            note=given.note.strip(),
            source=SOURCE,
        )
        with _refusing_changed():
            store.verdict_log.add_unless_changed(collection, verdict, datetime.now(UTC), seen=given.seen)
        return page.answer(request, store, page.images)


@router.post("/undo")
def take_back(
    request: Request, collection: WritableCollection, night: date, taken: TakenBack, rights: RightsDep
) -> Told:
    """Take back what the person said last on this page: what was in effect before it is so again.

    Raises:
        InputError: They gave no such verdict on this page.
        HTTPException: 404: there is no such night; 409: the verdict does not count any more.
    """
    with open_store(read_settings()) as store:
        page = _open_page(store, collection, night.isoformat())
        with _refusing_changed():
            verdict = store.verdict_log.withdraw(
                collection, taken.entry, rights.user_name, SOURCE, datetime.now(UTC), night=page.row.night
            )
        told = describe(verdict, ranks_of(page.images))
        return page.answer(request, store, page.images) | {"taken_back": told}


@router.get("/coverage")
def show_coverage(
    request: Request,
    collection: ReadableCollection,
    night: date,
    slice_name: Annotated[SliceName, Query(alias="slice")] = None,
) -> dict[str, int]:
    """Return how many images a verdict on the night, or on a slice of it, is about.

    Raises:
        HTTPException: 404: there is no such night.
        InputError: There is no such slice.
    """
    with open_store(read_settings()) as store:
        page = _open_page(store, collection, night.isoformat())
    return {"images": _count(request, page, slice_name)}


def _open_page(store: Store, collection: str, night: str) -> _Page:
    row = store.nights.find(collection, night)
    if row is None:
        raise HTTPException(404, f"{collection}: expected a published night, got {night}")
    return _Page(find_collection(collection, read_settings()), row, store.nights.images(collection, night))


def _count(request: Request, page: _Page, slice_name: str | None) -> int:
    source = open_night(request, page.collection, page.row.night, read_settings())
    return count_images(source, page.row, page.collection.slices, slice_name)


@contextmanager
def _refusing_changed() -> Iterator[None]:
    """Answer 409 where somebody spoke meanwhile."""
    try:
        yield
    except VerdictChangedError as error:
        raise HTTPException(409, f"Nothing was saved. {error}") from error
