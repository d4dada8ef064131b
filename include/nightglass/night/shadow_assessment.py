"""A night as it would have been judged with the challenger in the champion's place."""

import json
from collections.abc import Sequence

from nightglass.engine.results import ASSESSMENT_NAME, SHADOW_NAME, TOP_NAME
from nightglass.models import FoundModel
from nightglass.night.assessment import NightFacts, assess_scores
from nightglass.night.plan import PlannedNight
from nightglass.night.shadow_records import SeenNight, ShadowNight
from nightglass.records import Assessment, Baseline, TopAnomaly
from nightglass.storage import Folder


def assess_as_challenger(
    night: PlannedNight,
    scores: Folder,
    challenger: FoundModel,
    by_champion: Assessment,
    before: Sequence[SeenNight],
) -> Assessment:
    """Assess the night by the challenger's scores and write that beside them.

    Args:
        night: The night.
        scores: The folder of the challenger's scores.
        challenger: The model.
        by_champion: The night as it was published.
        before: The nights before it that told the shadow something, oldest first.
    """
    listed = json.loads(scores.read_bytes(TOP_NAME))["top_anomalies"]
    facts = NightFacts(
        collection=night.place.collection,
        night=night.plan.night,
        images_url=night.plan.images_url,
        data_version=night.plan.data_version,
        model_name=challenger.ref.name,
        model_version=challenger.ref.version,
        images=night.plan.images,
        ignored=night.plan.ignored,
        baseline=_borrow_baseline(by_champion.baseline, _last_psi(night, before)),
        validation=by_champion.validation,
        nights_since_promotion=None,  # it cools down from nothing
    )
    top = [TopAnomaly.model_validate(image) for image in listed]
    assessment = assess_scores(facts, scores, challenger.detector, top)
    scores.write_bytes(ASSESSMENT_NAME, assessment.model_dump_json().encode())
    return assessment


def _borrow_baseline(champion: Baseline, last_psi: dict[str, float]) -> Baseline:
    """Return what is usual for a challenger that has had no night of its own.

    The usual rate is the champion's: a better model does not find twice as much on the collection's quiet nights. How
    far its nights usually drift from its own reference nobody knows, so that the limits of the collection's file alone
    judge. Figures over several nights would mix both models, and are left out.
    """
    return Baseline(
        source=champion.source,
        nights=champion.nights,
        scored=champion.scored,
        anomalous=champion.anomalous,
        anomaly_rate=champion.anomaly_rate,
        last_statistic_psi=last_psi,
    )


def _last_psi(night: PlannedNight, before: Sequence[SeenNight]) -> dict[str, float]:
    """Return the drift of the night before that the same shadow saw: drift must last."""
    if not before:
        return {}
    last = before[-1]
    folder = night.place.all_nights.child(last.night)
    if not folder.exists(SHADOW_NAME):  # listed anew since
        return {}
    kept = ShadowNight.model_validate_json(folder.read_bytes(SHADOW_NAME))
    return kept.statistic_psi if (kept.run, kept.data_version) == (last.run, last.data_version) else {}
