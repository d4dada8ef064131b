"""Score one lane of a backfill: night by night, each into its own folder below the night's."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nightglass.backfill.comparing import compare_night, count_gone, read_published
from nightglass.backfill.deleted import check_nothing_deleted
from nightglass.backfill.kept import RESCORED_NAME, SKIPPED_NAME, is_kept, rescored_folder, score_key_of
from nightglass.backfill.records import BackfillPlan, NightToRescore
from nightglass.engine.results import LOCK_NAME, SUMMARY_NAME, only_writer, remove_shards
from nightglass.engine.score import ScoreJob, finish_scores, score_shards
from nightglass.engine.shards import plan_shards
from nightglass.engine.stage_times import count_workers
from nightglass.errors import ConfigurationError, InputError
from nightglass.images.manifest_file import ROW_COLUMNS, read_manifest
from nightglass.models import FoundModel, find_version
from nightglass.night.plan import NightPlace
from nightglass.night.shadow_assessment import assess_as_other
from nightglass.records import Assessment
from nightglass.settings import read_settings
from nightglass.storage import Folder

Options = Mapping[str, Any] | None
#: Told of each night: its date, and why it is skipped, None where it was scored.
Tell = Callable[[str, str | None], None]
_log = logging.getLogger(__name__)


def score_lane(
    lane: BackfillPlan, *, storage_options: Options = None, workers: int | None = None, tell: Tell = lambda *_: None
) -> dict[str, int | float]:
    """Score the nights of a lane that are not scored yet; a night that was cut off goes on at its first missing shard.

    A night that cannot be scored is skipped, and its folder says why. What time may heal ends the lane: run it again.

    Args:
        lane: The nights.
        storage_options: Credentials of remote folders.
        workers: Threads; default: the processors that this process may use.
        tell: Called with each night when it is done.

    Raises:
        StorageError: A store or the database does not answer, or maintenance rewrites nights of the collection.
        ModelError: The version is gone from the registry.
    """
    begun_at = time.perf_counter()
    model: FoundModel | None = None
    scored = skipped = images = 0
    for night in lane.nights:
        if night.is_scored:
            continue
        model = model or find_version(lane.model, lane.fingerprint, read_settings())
        place = NightPlace.open(lane.collection_file, night.night, night.images_url, storage_options)
        with place.open_store() as store:  # a deletion that reads the night now would not see what is written beside it
            store.upkeep.check_free(lane.collection, datetime.now(UTC))
        reason = _score_or_say_why_not(place, night, model, workers or count_workers())
        _log.info("%s %s: %s", lane.collection, night.night, reason or f"scored by version {lane.model.version}")
        tell(night.night, reason)
        scored, skipped = scored + (reason is None), skipped + (reason is not None)
        images += 0 if reason else night.images
    seconds = round(time.perf_counter() - begun_at, 3)
    return {"scored": scored, "skipped": skipped, "images": images, "seconds": seconds}


def _score_or_say_why_not(place: NightPlace, night: NightToRescore, model: FoundModel, workers: int) -> str | None:
    """Score a night, or note in its folder why that cannot be, and return it."""
    out = rescored_folder(place.out, model.ref.version)
    try:
        with only_writer(out):
            _score_or_leave_nothing(place, night, model, out, workers)
    except ConfigurationError:
        raise
    except InputError as error:
        reason = " ".join(str(error).split())
        out.write_bytes(SKIPPED_NAME, reason.encode())
        return reason
    out.remove(SKIPPED_NAME)
    return None


def _score_or_leave_nothing(
    place: NightPlace, night: NightToRescore, model: FoundModel, out: Folder, workers: int
) -> None:
    try:
        _score_night(place, night, model, out, workers)
    except InputError:
        for name in set(out.names()) - {LOCK_NAME}:  # the images may come back
            out.remove(name)
        raise


def _score_night(place: NightPlace, night: NightToRescore, model: FoundModel, out: Folder, workers: int) -> None:
    assessment = read_published(place, night.result_sha256)
    key = score_key_of(assessment.data_version, model.detector, place.collection.scoring)
    if not is_kept(place.out, model.ref.version, key, night.result_sha256):
        if not (out.exists(SUMMARY_NAME) and json.loads(out.read_bytes(SUMMARY_NAME))["score_key"] == key):
            count_gone(place, assessment)
            _score(place, assessment, model, out, workers)
        remove_shards(out)  # whatever is left when the night counts as scored stays
        assess_as_other(place.collection, out, model, assessment, {})
        scores = compare_night(place, assessment, night.result_sha256, model, key)
        out.write_bytes(RESCORED_NAME, scores.model_dump_json(indent=1).encode())
    check_nothing_deleted(place, night.night, out)


def _score(place: NightPlace, assessment: Assessment, model: FoundModel, out: Folder, workers: int) -> None:
    job = ScoreJob(
        images=place.images,
        out=out,
        detector=model.detector,
        model=model.ref.uri,
        collection=place.collection,
        workers=workers,
        top_k=max(1, len(assessment.top_anomalies)),
    )
    shards = plan_shards(assessment.images, place.collection.scoring.shard_size)
    for shard in shards:
        manifest = read_manifest(place.out, rows=range(shard.start, shard.stop))
        score_shards(job, manifest, [replace(shard, start=0, stop=len(manifest))], lambda *_: None)
    finish_scores(job, read_manifest(place.out, columns=ROW_COLUMNS), shards)
