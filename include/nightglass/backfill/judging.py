"""What each night of a backfill would have been with the version: decided in the order of the nights, and published."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from nightglass.backfill.comparing import read_published
from nightglass.backfill.kept import SKIPPED_NAME, read_kept, rescored_folder
from nightglass.backfill.records import (
    Backfilled,
    BackfillPlan,
    NightToRescore,
    RescoredNight,
    RescoredScores,
    SkippedNight,
)
from nightglass.collections import Collection, read_collection
from nightglass.engine.results import ASSESSMENT_NAME
from nightglass.errors import InputError
from nightglass.night.decision import decide
from nightglass.night.plan import NightPlace
from nightglass.night.shadow_assessment import borrow_baseline
from nightglass.records import Assessment, Decision, Verb
from nightglass.settings import read_settings
from nightglass.store import Store

Options = Mapping[str, Any] | None
Drifts = dict[str, dict[str, float]]  # by night: what the version saw of its statistics


def judge_nights(plan: BackfillPlan, *, storage_options: Options = None) -> Backfilled:
    """Decide every night of a plan as the version would have, and write the rows beside what was decided.

    Nothing is scored. Drift must last, so that each night is judged after the one before it.

    Raises:
        InputError: A night has neither scores nor a reason why not: its lane is to be run again.
    """
    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        judge = _Judge(plan, store, storage_options)
        found = [judge(night) for night in plan.nights]
    nights = [night for night in found if isinstance(night, RescoredNight)]
    skipped = [*plan.skipped, *(night for night in found if isinstance(night, SkippedNight))]
    return _sum_up(plan, nights, sorted(skipped, key=lambda night: night.night), judge.changed)


class _Judge:
    """Judges the nights of a plan in their order; ``changed`` counts the rows that it wrote."""

    def __init__(self, plan: BackfillPlan, store: Store, storage_options: Options) -> None:
        self._plan, self._store, self._options = plan, store, storage_options
        self._collection = read_collection(Path(plan.collection_file))
        self._seen = _drifts_before(plan, store, storage_options)
        self.changed = 0

    def __call__(self, night: NightToRescore) -> RescoredNight | SkippedNight:
        """Judge a night and write its row, or say why not."""
        plan = self._plan
        place = NightPlace.open(plan.collection_file, night.night, night.images_url, self._options)
        scores = read_kept(place.out, plan.model.version)
        if scores is None or scores.champion_result != night.result_sha256:
            return SkippedNight(night=night.night, reason=_read_reason(place, plan, night))
        try:
            row = _judge(self._collection, place, scores, _last(self._seen, night.night))
        except InputError as error:  # its files went away meanwhile
            return SkippedNight(night=night.night, reason=" ".join(str(error).split()))
        is_new = self._store.rescored.publish(row, night.result_sha256, datetime.now(UTC))
        if is_new is None:
            return SkippedNight(night=night.night, reason="it was published anew meanwhile")
        self.changed += is_new
        if row.decision is not Verb.HOLD and row.scored:
            self._seen[row.night] = scores.statistic_psi
        return row


def _judge(
    collection: Collection, place: NightPlace, scores: RescoredScores, last_psi: dict[str, float]
) -> RescoredNight:
    out = rescored_folder(place.out, scores.model.version)
    champion = Assessment.model_validate_json(place.out.read_bytes(ASSESSMENT_NAME))
    mine = Assessment.model_validate_json(out.read_bytes(ASSESSMENT_NAME))
    decision = decide_as_other(collection, champion, mine, scores.left_out, last_psi)
    found = scores.agreement
    return RescoredNight(
        collection=scores.collection,
        night=scores.night,
        model_name=scores.model.name,
        model_version=scores.model.version,
        champion_name=scores.champion.name,
        champion_version=scores.champion.version,
        data_version=scores.data_version,
        scored=found.scored,
        both_anomalous=found.both,
        only_champion=found.only_champion,
        only_rescored=found.only_challenger,
        left_out=scores.left_out,
        agreement=found.agreement,
        rank_correlation=found.rank_correlation,
        top_k=scores.top_k,
        top_k_overlap=scores.top_k_overlap,
        champion_decision=champion.decision.verb,
        decision=decision.verb,
        sentence=decision.sentence,
        compute_seconds=scores.compute_seconds,
        folder_url=out.url,
    )


def decide_as_other(
    collection: Collection, champion: Assessment, mine: Assessment, left_out: int, last_psi: dict[str, float]
) -> Decision:
    """Return what the night would have been: a pure function of what both models measured.

    Args:
        collection: Its options as they are now.
        champion: The night as it was published.
        mine: The night by the other model's scores.
        left_out: Images that are not there any more; they count neither as quarantined nor at all.
        last_psi: The drift that the other model saw on the night before.
    """
    # What was deleted on request is not even listed; what else is gone was found in quarantine.
    deleted = mine.images - mine.scored - mine.quarantined
    quarantined = mine.quarantined - max(0, left_out - deleted)
    return decide(
        scored=mine.scored,
        anomalous=mine.anomalous,
        quarantined=quarantined,
        images=mine.scored + quarantined,
        baseline=borrow_baseline(
            champion.baseline,
            last_psi,
            expected=collection.decision.expected_anomaly_rate,
            false_alarm_rate=mine.false_alarm_rate,
        ),
        drift=mine.drift,
        validation=champion.validation,
        nights_since_promotion=None,
        options=collection.decision,
        drift_options=collection.drift,
    )


def _drifts_before(plan: BackfillPlan, store: Store, storage_options: Options) -> Drifts:
    """Return what the version saw on nights that this plan does not score: its own ones, and the last before."""
    after = (date.fromisoformat(plan.until) + timedelta(days=1)).isoformat()
    days = (date.fromisoformat(after) - date.fromisoformat(plan.since)).days
    own = store.quiet_nights(plan.collection, plan.model, after, days + 1)
    drifts = {night.night: night.statistic_psi for night in own}
    for row in store.rescored.by_version(plan.collection, plan.model, 1, before=plan.since):
        place = NightPlace.open(plan.collection_file, row.night, None, storage_options)
        kept = read_kept(place.out, plan.model.version)
        if kept and row.decision is not Verb.HOLD and row.scored:
            drifts[row.night] = kept.statistic_psi
    return drifts


def _last(seen: Drifts, night: str) -> dict[str, float]:
    before = [other for other in seen if other < night]
    return seen[max(before)] if before else {}


def _read_reason(place: NightPlace, plan: BackfillPlan, night: NightToRescore) -> str:
    out = rescored_folder(place.out, plan.model.version)
    if out.exists(SKIPPED_NAME):
        return out.read_bytes(SKIPPED_NAME).decode("utf-8", "replace")
    try:
        read_published(place, night.result_sha256)
    except InputError as error:  # it was scored, and is listed anew since
        return " ".join(str(error).split())
    raise InputError(f"{plan.collection} {night.night}: expected scores of version {plan.model.version}, got none yet")


def _sum_up(plan: BackfillPlan, nights: list[RescoredNight], skipped: list[SkippedNight], changed: int) -> Backfilled:
    otherwise = sum(night.is_otherwise for night in nights)
    told = f"{plan.collection}: version {plan.model.version} would have decided otherwise on {otherwise}"
    left = f"; {len(skipped)} skipped" if skipped else ""
    return Backfilled(
        collection=plan.collection,
        model=plan.model,
        since=plan.since,
        until=plan.until,
        nights=nights,
        skipped=skipped,
        changed=changed,
        decided_otherwise=otherwise,
        compute_seconds=round(sum(night.compute_seconds for night in nights), 3),
        sentence=f"{told} of {len(nights)} {'night' if len(nights) == 1 else 'nights'}{left}",
    )
