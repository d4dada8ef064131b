"""A night as it would have been judged with the challenger in the champion's place."""

import json
import logging
from collections.abc import Sequence

from nightglass.collections import Collection
from nightglass.engine.results import ASSESSMENT_NAME, TOP_NAME
from nightglass.errors import InputError
from nightglass.models import FoundModel
from nightglass.night.assessment import NightFacts, assess_scores
from nightglass.night.plan import PlannedNight
from nightglass.night.report.source import read_shadow
from nightglass.night.shadow_records import SeenNight, ShadowNight
from nightglass.records import Assessment, Baseline, TopAnomaly
from nightglass.storage import Folder

_log = logging.getLogger(__name__)


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
    return assess_as_other(night.place.collection, scores, challenger, by_champion, _last_psi(night, before))


def assess_as_other(
    collection: Collection, scores: Folder, model: FoundModel, by_champion: Assessment, last_psi: dict[str, float]
) -> Assessment:
    """Assess a night by the scores of another model than its champion and write that beside them.

    Args:
        collection: The night's.
        scores: The folder of the model's scores.
        model: The model.
        by_champion: The night as it was published.
        last_psi: The drift that the model saw on the night before; drift must last.
    """
    listed = json.loads(scores.read_bytes(TOP_NAME))["top_anomalies"]
    facts = NightFacts(
        collection=collection,
        night=by_champion.night,
        images_url=by_champion.images_url,
        data_version=by_champion.data_version,
        model_name=model.ref.name,
        model_version=model.ref.version,
        images=by_champion.images,
        ignored=by_champion.ignored,
        baseline=borrow_baseline(
            by_champion.baseline,
            last_psi,
            expected=collection.decision.expected_anomaly_rate,
            false_alarm_rate=model.detector.calibration.false_alarm_rate,
        ),
        validation=by_champion.validation,
        nights_since_promotion=None,  # it cools down from nothing
    )
    top = [TopAnomaly.model_validate(image) for image in listed]
    assessment = assess_scores(facts, scores, model.detector, top)
    scores.write_bytes(ASSESSMENT_NAME, assessment.model_dump_json().encode())
    return assessment


def borrow_baseline(
    champion: Baseline, last_psi: dict[str, float], *, expected: float | None, false_alarm_rate: float
) -> Baseline:
    """Return what is usual for a challenger that has had no night of its own.

    The usual rate is the champion's: a better model does not find twice as much on the collection's quiet nights.
    While the champion is learning its own, a rate judges nothing, and the challenger could flag any share of a night:
    the rate that people expect is then the usual one, or that of the challenger's own false alarms. How far its nights
    usually drift from its own reference nobody knows, so that the limits of the collection's file alone judge. Figures
    over several nights would mix both models, and are left out.

    Args:
        champion: What was usual when the champion judged the night.
        last_psi: The drift of the shadow's night before.
        expected: The rate that the collection's file states.
        false_alarm_rate: The challenger's, as it was calibrated.
    """
    if champion.source == "learning":
        rate = false_alarm_rate if expected is None else expected
        return Baseline(
            source="expected", nights=0, scored=0, anomalous=0, anomaly_rate=rate, last_statistic_psi=last_psi
        )
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
    kept = read_kept(night.place.all_nights.child(last.night))  # None: listed anew since
    return kept.statistic_psi if kept and (kept.run, kept.data_version) == (last.run, last.data_version) else {}


def read_kept(night: Folder) -> ShadowNight | None:
    """Return what a shadow wrote into a night's folder; None where it wrote nothing, or nothing that can be read."""
    try:
        return read_shadow(night)
    except InputError as error:  # another version of Nightglass wrote it
        _log.warning("It counts as missing: %s", error)
        return None
