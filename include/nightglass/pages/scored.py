"""Published nights as the pages look into them: their scored images, by content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Annotated

from fastapi import Path, Request
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.night.removals import tell_removal
from nightglass.pages.places import find_collection, open_night, open_store
from nightglass.pages.settled import check_settled
from nightglass.settings import Settings, read_settings
from nightglass.similar.contents import FoundImage, find_image
from nightglass.similar.night import ScoredNight, UnfinishedNightError
from nightglass.similar.shelf import Shelf
from nightglass.store import NightRow
from nightglass.store.upkeep import Removal

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class ShownImage:
    """A scored image of a published night, with all that is needed to look at it closer."""

    collection: Collection
    row: NightRow
    night: ScoredNight
    found: FoundImage
    removed: Mapping[str, Removal] = field(default_factory=dict)  # of the night, as too old

    @property
    def path(self) -> str:
        """Its path below the night's images."""
        return str(self.found.scores["path"])

    @property
    def sha256(self) -> str:
        """Of its content."""
        return str(self.found.scores["sha256"])

    @property
    def address(self) -> str:
        """The end of its page's address, behind the app's root."""
        return image_address(self.collection.name, self.row.night, self.sha256)

    @property
    def results(self) -> str:
        """The end of addresses whose content changes when the night is scored again."""
        return self.row.result_sha256[:12]

    def check_settled(self) -> None:
        """Raise HTTPException 409 where the night is being scored again: what was read by now may be of either."""
        check_settled(self.night.folder, self.row)


def image_address(collection: str, night: str, sha256: str) -> str:
    """Return where an image's page is, behind the app's root."""
    return f"/collections/{collection}/nights/{night}/images/{sha256}"


def find_shown(request: Request, collection: str, night: date, sha256: str) -> ShownImage:
    """Find an image of a published night by its content.

    Raises:
        HTTPException: 404: no such night, or no such image in it; 409: the night is being scored again.
    """
    settings, name = read_settings(), night.isoformat()
    known = find_collection(collection, settings)
    with open_store(settings) as store:
        row = store.nights.find(collection, name)
        removed = store.upkeep.removals_of_night(collection, name)
    if row is None:
        raise HTTPException(404, f"{collection}: expected a published night, got {name}")
    if not row.scored:  # older scores of the same images may lie there
        raise HTTPException(404, f"{collection} {name}: expected a scored image, got a night that has none")
    if "scores" in removed:
        raise HTTPException(404, f"{collection} {name}: {tell_removal(removed['scores'])}")
    scored = as_scored(request, known, row, settings)
    try:
        found = find_image(scored, sha256, shelf(settings))
    except UnfinishedNightError as error:
        raise HTTPException(409, f"{error}; look again in some minutes") from error
    if found is None:
        check_settled(scored.folder, row)
        raise HTTPException(404, f"{collection} {name}: expected a scored image, got none with sha256 {sha256[:12]}…")
    shown = ShownImage(known, row, scored, found, removed)
    shown.check_settled()
    return shown


def as_scored(request: Request, collection: Collection, row: NightRow, settings: Settings) -> ScoredNight:
    """Return where a published night's scores are."""
    return all_scored(request, collection, [row], settings)[0]


def all_scored(
    request: Request, collection: Collection, rows: Sequence[NightRow], settings: Settings
) -> list[ScoredNight]:
    """Return where the scores of published nights of one collection are; its credentials are asked for once."""
    nights = open_night(request, collection, "", settings)
    with open_store(settings) as store:
        deleted = store.upkeep.scored_deletions(collection.name)
    return [
        ScoredNight(
            *(row.collection, row.night, row.model_name, row.model_version),
            scored=row.scored - deleted.get(row.night, 0),
            folder=nights.child(row.night),
        )
        for row in rows
    ]


def shelf(settings: Settings) -> Shelf:
    """Return what keeps the nights' indexes in this process."""
    return _shelf(settings.search_memory_mb * 2**20)


@lru_cache(maxsize=1)
def _shelf(max_bytes: int) -> Shelf:
    return Shelf(max_bytes)
