"""A version's model card and gate report as one page.

Both are drawn anew from the records of the retraining, with the same pieces as the stored `card.html` and
`report.html`: no HTML from a store is ever handed out, so that whoever can write there cannot put a page into
Airflow's UI.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nightglass.collections import Collection
from nightglass.night.shadow_records import SeenNight
from nightglass.pages.model_facts import ModelFacts, VersionFacts, read_models
from nightglass.pages.model_proof import Proof, read_proof
from nightglass.pages.model_text import tell_answer, tell_detector
from nightglass.pages.places import find_collection, open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection
from nightglass.retraining.card import CardFacts, tell_card
from nightglass.retraining.card_markdown import CardText
from nightglass.retraining.page_parts import (
    build_costs,
    build_detection,
    build_disagreement,
    build_slices,
    build_tiles,
    shorten,
)
from nightglass.retraining.records import GateReport, Retraining
from nightglass.retraining.report import shadow_rows
from nightglass.settings import read_settings

router = APIRouter(prefix="/collections/{collection}/models")


@router.get("/{version}/card", response_class=HTMLResponse)
def show_card(request: Request, collection: ReadableCollection, version: str) -> HTMLResponse:
    """Show what a version is, what it was measured at, and who let it in.

    Raises:
        HTTPException: 404: there is no such version.
    """
    settings = read_settings()
    known = find_collection(collection, settings)
    models = read_models(known, settings)
    facts = models.find(version)
    events = [event for event in models.history if event.version == version]
    with open_store(settings) as store:
        last = store.list_nights(collection, 1)
        seen = store.shadows.list_nights(collection, facts.retraining.run) if facts.retraining else []
    proof = read_proof(request, known, facts.retraining) if facts.retraining else None
    return render(
        request,
        "card.html",
        collection=collection,
        last_night=last[0].night if last else None,
        models=models,
        facts=facts,
        events=events,
        detector=tell_detector(facts),
        **build_proof(known, models, facts, proof, seen),
    )


def build_proof(
    collection: Collection, models: ModelFacts, facts: VersionFacts, proof: Proof | None, seen: Sequence[SeenNight]
) -> dict[str, Any]:
    """Return what the page shows of the retraining; without its folder only the gates, without one nothing."""
    retraining = facts.retraining
    if retraining is None or proof is None:
        return {"gates": None, "evaluation": None, "problem": "", "shadow": []}
    gates = GateReport(
        passed=bool(retraining.gates) and not facts.failed_gates, sentence=retraining.sentence, gates=retraining.gates
    )
    shown = {"gates": gates, "problem": proof.problem, "shadow": shadow_rows(seen)}
    evaluation, training = proof.evaluation, proof.training
    if evaluation is None or training is None:
        return {**shown, "evaluation": None}
    return {
        **shown,
        "evaluation": evaluation,
        "training": training,
        "text": _tell(collection, models, facts, retraining, proof),
        "tiles": build_tiles(evaluation, training),
        "detection": build_detection(evaluation),
        "disagreement": build_disagreement(evaluation.false_alarms),
        "slices": build_slices(evaluation),
        "costs": build_costs(evaluation),
        "sources": shorten(training.sources),
        "left_out": shorten(training.left_out),
    }


def _tell(
    collection: Collection, models: ModelFacts, facts: VersionFacts, retraining: Retraining, proof: Proof
) -> CardText | None:
    """Return the card's own words; None where the detector cannot be asked how it was fitted."""
    description = facts.details.description if facts.details else None
    if facts.details is None or description is None or proof.evaluation is None or proof.training is None:
        return None
    card = CardFacts(
        description=collection.description,
        options=description.options,
        finetuning=description.finetuning,
        outcome=retraining.outcome,
        run=retraining.run,
        requested_by=retraining.requested_by,
        reason=retraining.reason,
        fitted_at=facts.details.created_at,
        answered_by=tell_answer(facts, models.history),
        answered_at=None,
        code_version=facts.details.tags.get("code_version", ""),
    )
    return tell_card(proof.evaluation, proof.training, card)
