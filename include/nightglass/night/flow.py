"""One night, step by step: what the tasks of the nightly DAG call, in this order.

`reason_to_wait` and `list_night`, `validate_night`, `score_night_shard` (one call a shard), `assess_night`,
`publish_night`, and `nightglass.night.shadow` where a challenger shadows the champion. Each step reads what the one
before left in the night's folder, so any of them can run again.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nightglass.engine.merge import INDEX_NAME
from nightglass.engine.results import (
    ASSESSMENT_NAME,
    SUMMARY_NAME,
    TOP_NAME,
    VALIDATION_NAME,
    forget_other_results,
    forget_shadow,
)
from nightglass.engine.score import finish_scores, score_shards
from nightglass.engine.shards import SHARDS_NAME, plan_shards, score_key, shards_folder
from nightglass.engine.stage_times import count_workers, name_limit
from nightglass.errors import InputError, ValidationFailedError
from nightglass.images.manifest import build_manifest
from nightglass.images.manifest_file import ROW_COLUMNS, read_manifest, write_manifest
from nightglass.maintenance.deletion_records import place_digest
from nightglass.models import find_model
from nightglass.night.assessment import NightFacts, assess_scores, assess_unscored
from nightglass.night.baseline import build_baseline
from nightglass.night.late_writers import check_listed_alone, clearing_late_shard, listed_version
from nightglass.night.plan import NightPlace, NightPlan, PlannedNight
from nightglass.night.publishing import publish
from nightglass.night.readiness import find_reason_to_wait
from nightglass.promotion import reconcile_champion
from nightglass.records import Assessment, TopAnomaly, ValidationReport

_USUAL_NIGHTS = 14
Options = Mapping[str, Any] | None


def reason_to_wait(
    collection_file: str, night: str, *, images_url: str | None = None, storage_options: Options = None
) -> str | None:
    """Return why the night's folder is not complete yet, or who rewrites the nights just now; None to go on."""
    place, now = NightPlace.open(collection_file, night, images_url, storage_options), datetime.now(UTC)
    with place.open_store() as store:
        if holder := store.upkeep.find_holder(place.collection.name, now):
            return f"{holder} rewrites nights of the collection"
    return find_reason_to_wait(place.images, place.collection, now)


def list_night(
    collection_file: str,
    night: str,
    *,
    images_url: str | None = None,
    top_k: int | None = None,
    rescore: bool = False,
    storage_options: Options = None,
) -> NightPlan:
    """Write the night's manifest and fix the model version that every step uses.

    Raises:
        InputError: The night is no date, the folder does not exist or holds no image.
        ModelError: The collection has no champion.
        CollectionInWorkError: Maintenance rewrites nights of the collection just now.
    """
    begun_at = time.perf_counter()
    place = NightPlace.open(collection_file, night, images_url, storage_options)
    collection = place.collection
    place.begin(night)
    # What a crash left of a promotion is mended first: the alias follows the log.
    champion = reconcile_champion(collection, place.settings)
    found = find_model(champion.uri if champion else f"models:/{collection.model_name}@champion", place.settings)
    if rescore:
        place.out.remove(SHARDS_NAME)
    seen = listed_version(place.out)
    manifest = build_manifest(place.images, collection.suffixes, collection.scoring, workers=count_workers())
    with place.open_store() as store:
        deleted = store.upkeep.deletions.contents(collection.name)
    manifest = manifest.without(deleted, lambda path: place_digest(night, path))
    check_listed_alone(place.out, seen, manifest)
    with place.open_store() as store:
        kept = None if rescore else manifest.data_version
        store.shadows.forget_night(collection.name, night, kept_version=kept)
    if rescore:
        forget_shadow(place.out)
    forget_other_results(place.out, manifest)
    write_manifest(manifest, place.out)
    return NightPlan(
        collection=collection.name,
        collection_file=collection_file,
        night=night,
        images_url=images_url or collection.night_url(night),
        folder_url=place.out.url,
        model=found.ref,
        model_fingerprint=found.detector.fingerprint,
        score_key=score_key(manifest, found.detector, collection.scoring),
        data_version=manifest.data_version,
        images=len(manifest),
        ignored=manifest.ignored,
        shards=len(plan_shards(len(manifest), collection.scoring.shard_size)),
        top_k=top_k or collection.scoring.top_k,
        rescore=rescore,
        listing_seconds=round(time.perf_counter() - begun_at, 3),
    )


def validate_night(
    plan: NightPlan, *, storage_options: Options = None, alert_urls: Sequence[str] = (), run_url: str | None = None
) -> list[int]:
    """Check the night's data and return the numbers of the shards to score; none when all scores are there.

    Raises:
        ValidationFailedError: A critical expectation failed; the night is published as ``hold`` before.
    """
    from nightglass.night.manifest_facts import COLUMNS
    from nightglass.night.validation import validate_manifest

    night = PlannedNight(plan, storage_options)
    collection, out = night.place.collection, night.place.out
    with night.place.open_store() as store:
        usual = store.usual_count(collection.name, plan.night, _USUAL_NIGHTS)
    report = validate_manifest(read_manifest(out, columns=COLUMNS).table, collection.validation, usual_count=usual)
    out.write_bytes(VALIDATION_NAME, report.model_dump_json(indent=1).encode())
    if not report.passed:
        listed = read_manifest(out, columns=["path", "reason", "detail"]).table
        unreadable = listed.filter(listed["reason"].is_valid())
        assessment = assess_unscored(_gather_facts(night), night.model.detector, unreadable)
        out.write_bytes(ASSESSMENT_NAME, assessment.model_dump_json().encode())
        publish(night, assessment, alert_urls, run_url)
        raise ValidationFailedError(f"{collection.name} {plan.night}: {assessment.decision.sentence}")
    return [] if _has_scores(night) and not plan.rescore else list(range(plan.shards))


def score_night_shard(
    plan: NightPlan, shard: int, *, storage_options: Options = None
) -> dict[str, int | float | str | None]:
    """Score one shard; a shard whose file is already there costs nothing."""
    start = time.perf_counter()
    night = PlannedNight(plan, storage_options)
    _check_listing(night)
    planned = plan_shards(plan.images, night.place.collection.scoring.shard_size)[shard]
    manifest = read_manifest(night.place.out, rows=range(planned.start, planned.stop))
    job = night.job()
    with clearing_late_shard(night.place.out, plan.score_key, planned.name):
        score_shards(job, manifest, [replace(planned, start=0, stop=len(manifest))], lambda *_: None)
    seconds = time.perf_counter() - start
    spent = job.times.seconds()
    return {
        "shard": shard,
        "images": len(manifest),
        "seconds": round(seconds, 3),
        "limited_by": name_limit(spent),
        **spent,
    }


def assess_night(plan: NightPlan, *, storage_options: Options = None) -> dict[str, object]:
    """Merge the shards, explain the top-k, measure rate and drift, and decide."""
    night = PlannedNight(plan, storage_options)
    out = night.place.out
    night.place.begin(plan.night)
    _check_listing(night)
    manifest = read_manifest(out, columns=ROW_COLUMNS)
    shards = plan_shards(len(manifest), night.place.collection.scoring.shard_size)
    missing = {shard.name for shard in shards} - set(shards_folder(out, plan.score_key).names())
    if not missing:
        finish_scores(night.job(), manifest, shards, listing_seconds=plan.listing_seconds)
    elif not _has_scores(night):
        raise InputError(f"{out.url}: expected {len(shards)} scored shards, {len(missing)} missing: clear score_shard")
    listed = json.loads(out.read_bytes(TOP_NAME))["top_anomalies"]
    top = [TopAnomaly.model_validate(image) for image in listed]
    assessment = assess_scores(_gather_facts(night), out, night.model.detector, top)
    if not _has_scores(night):
        raise InputError(f"{out.url}: expected the scores of this run, got those of another: clear list_images")
    out.write_bytes(ASSESSMENT_NAME, assessment.model_dump_json().encode())
    return {"decision": str(assessment.decision.verb), "sentence": assessment.decision.sentence}


def publish_night(
    plan: NightPlan, *, storage_options: Options = None, alert_urls: Sequence[str] = (), run_url: str | None = None
) -> dict[str, object]:
    """Write the report, the rows and the MLflow run, and tell people; a second time changes nothing.

    ``run_url`` is the address of the run in Airflow's UI, for whoever is told.
    """
    night = PlannedNight(plan, storage_options)
    assessment = Assessment.model_validate_json(night.place.out.read_bytes(ASSESSMENT_NAME))
    return publish(night, assessment, alert_urls, run_url)


def _gather_facts(night: PlannedNight) -> NightFacts:
    plan, place = night.plan, night.place
    collection, out = place.collection, place.out
    model = plan.model
    with night.place.open_store() as store:
        options = collection.decision
        quiet = store.quiet_nights(collection.name, model, plan.night, options.baseline_nights)
        first = store.first_nights(collection.name, model, options.baseline_nights, plan.night)
        since = store.nights_since_promotion(collection.name, model, plan.night)
    validation = None
    if out.exists(VALIDATION_NAME):
        validation = ValidationReport.model_validate_json(out.read_bytes(VALIDATION_NAME))
    return NightFacts(
        collection=collection,
        night=plan.night,
        images_url=plan.images_url,
        data_version=plan.data_version,
        model_name=model.name,
        model_version=model.version,
        images=plan.images,
        ignored=plan.ignored,
        baseline=build_baseline(quiet, first, options),
        validation=validation,
        nights_since_promotion=since,
    )


def _has_scores(night: PlannedNight) -> bool:
    """Tell whether the night's folder already has exactly the scores that this plan asks for."""
    out, plan = night.place.out, night.plan
    if not (out.exists(SUMMARY_NAME) and out.exists(INDEX_NAME)):  # old nights lose their embeddings
        return False
    summary = json.loads(out.read_bytes(SUMMARY_NAME))
    return bool(summary["score_key"] == plan.score_key and summary["top_k"] == plan.top_k)


def _check_listing(night: PlannedNight) -> None:
    """Raise InputError when images, model or options are no longer those that were listed."""
    manifest = read_manifest(night.place.out, rows=range(0))
    if score_key(manifest, night.model.detector, night.place.collection.scoring) != night.plan.score_key:
        where = f"{night.plan.collection} {night.plan.night}"
        raise InputError(
            f"{where}: the images or the scoring options changed since they were listed: clear list_images"
        )
