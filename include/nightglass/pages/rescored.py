"""What another version would have said of nights that were decided before: a page, and a section of a night's page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from nightglass.backfill.kept import read_kept
from nightglass.backfill.records import RescoredNight
from nightglass.night.shadow_records import Disagreement
from nightglass.pages.places import find_collection, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rescored_chart import draw_chart
from nightglass.pages.rights import ReadableCollection
from nightglass.records import ModelRef
from nightglass.settings import read_settings
from nightglass.storage import Folder

router = APIRouter(prefix="/collections/{collection}/models/{version}")
_NIGHTS = 100
_SHOWN = 5
_Version = Annotated[str, Path(pattern="^[1-9][0-9]{0,8}$")]


@dataclass(frozen=True)
class OtherVersion:
    """What another version made of a night, and the images on which the two differ the most."""

    row: RescoredNight
    images: Sequence[Disagreement]


@router.get("/nights", response_class=HTMLResponse)
def show_rescored(request: Request, collection: ReadableCollection, version: _Version) -> HTMLResponse:
    """Show the nights that a version scored again, beside what was decided at the time.

    Raises:
        HTTPException: 404: it scored none again.
    """
    settings = read_settings()
    known = find_collection(collection, settings)
    with open_store(settings) as store:
        versions = store.rescored.versions(collection, known.model_name)
        chosen = next((each for each in versions if each.model_version == version), None)
        if chosen is None:
            raise HTTPException(404, f"{collection}: expected nights that version {version} scored again, got none")
        model = ModelRef(name=known.model_name, version=version)
        nights = store.rescored.by_version(collection, model, _NIGHTS, before=None)
        last = store.list_nights(collection, 1)
    return render(
        request,
        "rescored.html",
        collection=collection,
        last_night=last[0].night if last else None,
        chosen=chosen,
        others=[each for each in versions if each is not chosen],
        nights=nights,
        chart=draw_chart(nights[::-1]),
        champions=sorted({night.champion_version for night in nights}, key=lambda name: (len(name), name)),
    )


def read_other_versions(folder: Folder, rows: Sequence[RescoredNight]) -> list[OtherVersion]:
    """Return what other versions made of a night, with the images on which they differ from what was decided.

    Args:
        folder: The night's score folder.
        rows: Its rows.
    """
    return [OtherVersion(row, _find_images(folder, row)) for row in rows]


def _find_images(folder: Folder, row: RescoredNight) -> Sequence[Disagreement]:
    kept = read_kept(folder, row.model_version)
    is_same = kept and (kept.model.name, kept.data_version) == (row.model_name, row.data_version)
    return kept.disagreements[:_SHOWN] if kept and is_same else []
