"""The page that compares two versions: what each was measured at, the gates of each, and how they were fitted."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from nightglass.collections import Collection
from nightglass.pages.model_facts import ModelFacts, VersionFacts, read_models
from nightglass.pages.model_proof import Proof, read_proof
from nightglass.pages.model_text import tell_detector, tell_nights, tell_training
from nightglass.pages.places import find_collection, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection
from nightglass.pages.trials import Trial, compare_figures, compare_gates, compare_rows, find_meeting, find_trial
from nightglass.retraining.page_parts import build_costs, build_detection, build_slices
from nightglass.retraining.records import Retraining
from nightglass.settings import read_settings

router = APIRouter(prefix="/collections/{collection}/models")
_Version = Annotated[str, Query(pattern="^[1-9][0-9]{0,8}$")]


@router.get("/compare", response_class=HTMLResponse)
def show_comparison(request: Request, collection: ReadableCollection, left: _Version, right: _Version) -> HTMLResponse:
    """Show two versions side by side.

    Raises:
        HTTPException: 404: there is no such version; 422: both are the same.
    """
    if left == right:
        raise HTTPException(422, f"expected two versions to compare, got {left} twice")
    settings = read_settings()
    known = find_collection(collection, settings)
    models = read_models(known, settings)
    sides = models.find(left), models.find(right)
    meeting = find_meeting(models, left, right)
    trials = [_read_trial(request, known, models, side.version, meeting) for side in sides]
    met = read_proof(request, known, meeting).evaluation if meeting else None
    with open_store(settings) as store:
        last = store.list_nights(collection, 1)
    equal, parameters = compare_rows(*(_list_parameters(side) for side in sides))
    return render(
        request,
        "compare.html",
        collection=collection,
        last_night=last[0].night if last else None,
        models=models,
        sides=sides,
        trials=trials,
        meeting=meeting,
        evaluation=met,
        detection=build_detection(met) if met else [],
        slices=build_slices(met) if met else [],
        costs=build_costs(met) if met else [],
        gates=compare_gates(*trials),
        figures=compare_figures(*trials),
        on_same_images=_are_same_images(*trials),
        parameters=parameters,
        equal_parameters=equal,
        training=compare_rows(*map(_list_training, sides, trials), keep_equal=True)[1],
        nights=compare_rows(*map(tell_nights, sides), keep_equal=True)[1],
    )


def _read_trial(
    request: Request, collection: Collection, models: ModelFacts, version: str, meeting: Retraining | None
) -> Trial | None:
    found = find_trial(models, version, meeting)
    if found is None:
        return None
    proof: Proof = read_proof(request, collection, found)
    return Trial(version, found, proof)


def _list_training(facts: VersionFacts, trial: Trial | None) -> dict[str, str]:
    """Return what a version was fitted on, which the retraining wrote down that made it."""
    return tell_training(facts, trial.proof.training if trial and trial.is_challenger else None)


def _list_parameters(facts: VersionFacts) -> dict[str, str]:
    """Return how a version was fitted; when it was is no parameter."""
    return {name: value for name, value in tell_detector(facts) if name != "fitted"}


def _are_same_images(left: Trial | None, right: Trial | None) -> bool:
    """Tell whether the figures of both sides are from the same frozen images, so that they compare."""
    measured = [trial.proof.evaluation for trial in (left, right) if trial]
    versions = [evaluation.data_version for evaluation in measured if evaluation]
    return len(versions) == 2 and versions[0] == versions[1]
