"""The page of a collection's models: which version was champion on which nights, who decided it, and what there is."""

from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nightglass.champion_log import version_before
from nightglass.errors import ModelError
from nightglass.pages.model_facts import ModelFacts, read_models
from nightglass.pages.places import find_collection, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection, RightsDep
from nightglass.pages.starting import find_starts
from nightglass.pages.timeline import draw_timeline
from nightglass.settings import read_settings

router = APIRouter(prefix="/collections/{collection}/models")
_NIGHTS = 100
_EVENTS = 50


@router.get("", response_class=HTMLResponse)
def show_models(request: Request, collection: ReadableCollection, rights: RightsDep) -> HTMLResponse:
    """Show the champions of a collection over its last nights, every version, and the ways to another champion."""
    settings = read_settings()
    known = find_collection(collection, settings)
    models = read_models(known, settings)
    before = find_champion_before(models)
    with open_store(settings) as store:
        nights = store.list_nights(collection, _NIGHTS)[::-1]
        rescoring = store.rescored.versions(collection, known.model_name)
    return render(
        request,
        "models.html",
        collection=collection,
        model_name=known.model_name,
        asks_person=known.retraining.promotion == "approval",
        models=models,
        before=before,
        compare_with=before or next((facts.version for facts in models.versions if facts.standing != "champion"), None),
        nights=nights,
        last_night=nights[-1].night if nights else None,
        timeline=draw_timeline(nights, models.history) if nights else None,
        events=models.history[:_EVENTS],
        rescoring=rescoring,
        starts=find_starts(request, collection, rights),
    )


def find_champion_before(models: ModelFacts) -> str | None:
    """Return the version that a rollback without a version goes back to; None where there is none."""
    with suppress(ModelError):
        return version_before(models.history, models.collection.model_name)
    return None
