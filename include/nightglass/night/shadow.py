"""The last step of a night while a challenger shadows the champion: the challenger scores the same images.

Nothing of the published night depends on it. A second time finds what it wrote and changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nightglass.engine.results import ASSESSMENT_NAME, SHADOW_FOLDER, SHADOW_NAME, SUMMARY_NAME, remove_shards
from nightglass.engine.score import ScoreJob, finish_scores, score_shards
from nightglass.engine.shards import plan_shards, score_key
from nightglass.engine.stage_times import count_workers
from nightglass.errors import InputError
from nightglass.images.manifest_file import ROW_COLUMNS, read_manifest
from nightglass.models import FoundModel, find_version
from nightglass.night.plan import NightPlan, PlannedNight
from nightglass.night.publishing import write_report
from nightglass.night.shadow_assessment import assess_as_challenger, read_kept
from nightglass.night.shadow_choice import find_shadow, why_skipped
from nightglass.night.shadow_comparison import compare_scores, pair_scores, read_scores
from nightglass.night.shadow_pictures import picture
from nightglass.night.shadow_records import SeenNight, Shadow, ShadowNight
from nightglass.records import Assessment, ModelRef
from nightglass.storage import Folder
from nightglass.store import result_sha256

Options = Mapping[str, Any] | None


def shadow_night(plan: NightPlan, *, storage_options: Options = None) -> dict[str, object] | str:
    """Score the night with the challenger, compare, and write it down: file, row, report.

    Returns:
        What came of it, or a sentence that says why no challenger shadows this night.

    Raises:
        InputError: The night was listed or assessed anew meanwhile.
        ModelError: The challenger is gone from the registry.
    """
    night = PlannedNight(plan, storage_options)
    with night.place.open_store() as store:
        shadow, seen = find_shadow(night, store)
    skipped = why_skipped(shadow, seen, plan, datetime.now(UTC))
    if shadow is None or skipped:
        return str(skipped)
    return _shadow(night, shadow, seen)


def _shadow(night: PlannedNight, shadow: Shadow, seen: list[SeenNight]) -> dict[str, object]:
    plan, out = night.plan, night.place.out
    night.place.begin(plan.night)
    assessment = _read_assessment(night)
    ref = ModelRef(name=shadow.model_name, version=shadow.challenger_version)
    challenger = find_version(ref, shadow.challenger_fingerprint, night.place.settings)
    job = _job(night, challenger)
    before = [other for other in seen if other.counts and other.night < plan.night]
    found = _read_kept(out, job, assessment, shadow)
    if found is None:
        _score(job, plan, out)
        found = _compare(night, job, challenger, assessment, shadow, before)
        out.write_bytes(SHADOW_NAME, found.model_dump_json(indent=1).encode())
    with night.place.open_store() as store:
        row = _as_row(found, write_report(night, assessment, store))
        changed = store.shadows.publish_night(row, datetime.now(UTC))
    for folder in (job.out, out):  # a killed shadow left unfinished files in both
        remove_shards(folder)
    with night.place.open_store() as store:
        store.upkeep.end_night(plan.collection, plan.night)
    return {
        "decision": str(found.decision.verb),
        "sentence": found.decision.sentence,
        "agreement": found.agreement.agreement,
        "changed": changed,
    }


def _read_assessment(night: PlannedNight) -> Assessment:
    """Return what the champion made of the night; it must be this plan's."""
    plan, out = night.plan, night.place.out
    assessment = Assessment.model_validate_json(out.read_bytes(ASSESSMENT_NAME))
    found = (assessment.model_version, assessment.data_version, read_manifest(out, rows=range(0)).data_version)
    if found != (plan.model.version, plan.data_version, plan.data_version):
        raise InputError(f"{plan.collection} {plan.night}: the night was listed anew meanwhile: clear list_images")
    return assessment


def _job(night: PlannedNight, model: FoundModel) -> ScoreJob:
    return ScoreJob(
        images=night.place.images,
        out=night.place.out.child(SHADOW_FOLDER),
        detector=model.detector,
        model=model.ref.uri,
        collection=night.place.collection,
        workers=count_workers(),
        top_k=night.plan.top_k,
    )


def _read_kept(out: Folder, job: ScoreJob, assessment: Assessment, shadow: Shadow) -> ShadowNight | None:
    """Return what an earlier run found, where it is about the same scores of both models."""
    kept = read_kept(out)
    wanted = (shadow.run, _score_key(job, out), result_sha256(assessment))
    return kept if kept and (kept.run, kept.score_key, kept.champion_result) == wanted else None


def _score(job: ScoreJob, plan: NightPlan, out: Folder) -> None:
    """Score what is not scored yet: a killed run goes on at its first missing shard."""
    if job.out.exists(SUMMARY_NAME) and json.loads(job.out.read_bytes(SUMMARY_NAME))["score_key"] == _score_key(
        job, out
    ):
        return
    shards = plan_shards(plan.images, job.collection.scoring.shard_size)
    for shard in shards:
        manifest = read_manifest(out, rows=range(shard.start, shard.stop))
        score_shards(job, manifest, [replace(shard, start=0, stop=len(manifest))], lambda *_: None)
    finish_scores(job, read_manifest(out, columns=ROW_COLUMNS), shards)


def _score_key(job: ScoreJob, out: Folder) -> str:
    return score_key(read_manifest(out, rows=range(0)), job.detector, job.collection.scoring)


def _compare(
    night: PlannedNight,
    job: ScoreJob,
    challenger: FoundModel,
    assessment: Assessment,
    shadow: Shadow,
    before: list[SeenNight],
) -> ShadowNight:
    plan, out = night.plan, night.place.out
    as_challenger = assess_as_challenger(night, job.out, challenger, assessment, before)
    thresholds = assessment.image_threshold, challenger.detector.calibration.image_threshold
    agreement, disagreements = compare_scores(
        pair_scores(read_scores(out), read_scores(job.out)),
        champion_threshold=thresholds[0],
        challenger_threshold=thresholds[1],
    )
    return ShadowNight(
        collection=plan.collection,
        night=plan.night,
        run=shadow.run,
        champion=plan.model,
        challenger=challenger.ref,
        data_version=plan.data_version,
        score_key=_score_key(job, out),
        champion_result=result_sha256(assessment),
        champion_threshold=thresholds[0],
        challenger_threshold=thresholds[1],
        agreement=agreement,
        champion_decision=assessment.decision.verb,
        decision=as_challenger.decision,
        statistic_psi={statistic.name: statistic.psi for statistic in as_challenger.drift.statistics},
        disagreements=picture(night, job, disagreements),
        seen_before=len(before),
        nights_wanted=shadow.nights_wanted,
    )


def _as_row(found: ShadowNight, report_url: str) -> SeenNight:
    agreement = found.agreement
    return SeenNight(
        collection=found.collection,
        run=found.run,
        night=found.night,
        data_version=found.data_version,
        scored=agreement.scored,
        both_anomalous=agreement.both,
        only_champion=agreement.only_champion,
        only_challenger=agreement.only_challenger,
        agreement=agreement.agreement,
        rank_correlation=agreement.rank_correlation,
        champion_decision=found.champion_decision,
        decision=found.decision.verb,
        sentence=found.decision.sentence,
        report_url=report_url,
    )
