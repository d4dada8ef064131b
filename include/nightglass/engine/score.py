"""Score a folder: all at once for the command line, or step by step for the tasks of a night."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from nightglass.collections import Collection
from nightglass.detector.backends import Backend, LoadingBackend
from nightglass.detector.detector import Detector
from nightglass.engine.merge import Merged, merge_shards
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.results import (
    SUMMARY_NAME,
    TOP_NAME,
    check_own,
    discard_results,
    forget_judgement,
    forget_other_results,
    only_writer,
    read_standing,
    remove_shards,
    settle_results,
    stage_results,
)
from nightglass.engine.shards import Shard, ShardWriter, plan_shards, score_batch, score_key, shards_folder
from nightglass.engine.stage_times import StageTimes, image_seconds, name_limit
from nightglass.engine.top_anomalies import AnomalyExplainer
from nightglass.errors import InputError
from nightglass.images.manifest import Manifest, build_manifest
from nightglass.images.manifest_file import write_manifest
from nightglass.storage import Folder

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # stage, images done, images in all


@dataclass(frozen=True)
class ScoreJob:
    """A folder to score: where it is, with what, and where the results go."""

    images: Folder
    out: Folder
    detector: Detector
    model: str
    collection: Collection
    workers: int
    top_k: int
    times: StageTimes = field(default_factory=StageTimes)

    @cached_property
    def backend(self) -> Backend:
        """The detector's network, which begins to load on first use."""
        return LoadingBackend(self._load)

    def _load(self) -> Backend:
        with self.times.measure("load"):
            return self.detector.open_backend(self.workers, self.collection.scoring.device)


def score_folder(job: ScoreJob, progress: Progress) -> dict[str, Any]:
    """Score every image of the folder and return the summary; a killed run goes on at its first missing shard.

    Raises:
        InputError: The folder does not exist, holds no image, or contains the output folder.
        StorageError: A store does not answer or refuses.
    """
    start = time.perf_counter()
    check_output(job.images, job.out)
    _ = job.backend  # is loaded while the folder is listed, which waits for the disk and the interpreter's lock
    with job.times.measure("list"):
        manifest = build_manifest(
            job.images,
            job.collection.suffixes,
            job.collection.scoring,
            workers=job.workers,
            sample_brightness=False,
            progress=lambda done, total: progress("list", done, total),
        )
    check_own(job.out)
    if job.out.exists(SUMMARY_NAME):
        _ = job.backend.name  # older results do not go for a network that cannot be loaded
    with only_writer(job.out):
        forget_other_results(job.out, manifest)
        write_manifest(manifest, job.out)
        shards = plan_shards(len(manifest), job.collection.scoring.shard_size)
        score_shards(job, manifest, shards, progress)
        listing_seconds = job.times.seconds()["list"]
        summary = finish_scores(job, manifest, shards, started_at=start, listing_seconds=listing_seconds)
        forget_judgement(job.out)
        remove_shards(job.out)
    return summary


def score_shards(job: ScoreJob, manifest: Manifest, shards: Sequence[Shard], progress: Progress) -> None:
    """Score those of ``shards`` that have no finished file yet; the network is loaded only when one is missing."""
    target = shards_folder(job.out, score_key(manifest, job.detector, job.collection.scoring))
    finished = set(target.names())
    done, total = 0, sum(shard.stop - shard.start for shard in shards)

    def count(images: int) -> None:
        nonlocal done
        done += images
        progress("score", done, total)

    missing = [shard for shard in shards if shard.name not in finished]
    count(total - sum(shard.stop - shard.start for shard in missing))
    if not missing:
        return
    writer = ShardWriter(manifest, target, job.times, time.perf_counter())
    parts = (manifest.image_rows(shard.start, shard.stop) for shard in missing)
    ended = iter(missing)
    with open_pipeline(job) as pipeline:
        for rows in pipeline.embed_parts(parts, partial(score_batch, detector=job.detector, times=job.times)):
            if rows is None:
                count(writer.write(next(ended), job.backend.name))
            else:
                writer.add(rows)
                count(len(rows))


def open_pipeline(job: ScoreJob) -> Pipeline:
    """Open a pipeline on the images."""
    size = job.detector.options.backbone.image_size
    return Pipeline(job.images, job.backend, size, job.collection.scoring, workers=job.workers, times=job.times)


def finish_scores(
    job: ScoreJob,
    manifest: Manifest,
    shards: list[Shard],
    *,
    started_at: float | None = None,
    listing_seconds: float = 0.0,
) -> dict[str, Any]:
    """Merge the shards, describe the top-k and write the summary last; return the summary.

    Args:
        job: What is scored.
        manifest: Its manifest.
        shards: All shards; each has its file.
        started_at: `time.perf_counter` of the start; None where the shards were scored elsewhere, so that there is
            no one duration.
        listing_seconds: How long the listing took, which counts as compute time.
    """
    begun_at = time.perf_counter()
    key = score_key(manifest, job.detector, job.collection.scoring)
    source = shards_folder(job.out, key)
    old, staged = read_standing(job.out), stage_results(job.out)
    try:
        merged = _write_results(job, manifest, shards, source, staged)
    except BaseException:
        # What was there before stays, and so do the finished shards.
        discard_results(staged)
        raise
    now = time.perf_counter()
    seconds = None if started_at is None else now - started_at
    compute = {"list": listing_seconds, "shards": merged.compute_seconds, "finish": now - begun_at}
    _warn_of_mixed(merged, job.out)
    # What this process spent on shards is in their files already.
    stage_seconds = job.times.seconds() | merged.stage_seconds
    summary = {
        "collection": job.collection.name,
        "images": len(manifest),
        "ignored": manifest.ignored,
        "scored": merged.scored,
        "quarantined": merged.quarantined,
        "anomalous": merged.anomalous,
        "seconds": seconds and round(seconds, 3),
        "images_per_second": seconds and round(len(manifest) / seconds, 1),
        "compute_seconds": round(sum(compute.values()), 3),
        "compute_parts": {part: round(seconds, 3) for part, seconds in compute.items()},
        "stage_seconds": stage_seconds,
        "image_seconds": image_seconds(merged.batches),
        "limited_by": name_limit(stage_seconds),
        "workers": job.workers,
        "backends": sorted(merged.backends),
        "image_threshold": job.detector.calibration.image_threshold,
        "false_alarm_rate": job.detector.calibration.false_alarm_rate,
        "num_neighbors": job.detector.options.num_neighbors,
        "model": job.model,
        "model_version": job.detector.fingerprint[:12],
        "data_version": manifest.data_version,
        "images_url": job.images.url,
        "score_key": key,
        "top_k": job.top_k,
    }
    return settle_results(job.out, staged, summary, old=old)


def _warn_of_mixed(merged: Merged, out: Folder) -> None:
    """Tell where shards come from machines of different kinds: the same image gets nearly, not exactly, one score."""
    if len(merged.backends) > 1:
        ways = ", ".join(sorted(merged.backends))
        log.warning("%s: shards were computed in different ways (%s); see scoring.device, scoring.queue", out.url, ways)


def _write_results(job: ScoreJob, manifest: Manifest, shards: list[Shard], source: Folder, staged: Folder) -> Merged:
    with job.times.measure("merge"):
        merged = merge_shards(shards, source, staged, job.top_k)
    with job.times.measure("explain"):
        explainer = AnomalyExplainer(job.images, staged, job.detector, job.backend, job.collection.scoring)
        rows = manifest.find_rows([image.path for image in merged.top])
        top = explainer.explain(merged.top, rows, job.workers)
    listed = {"top_anomalies": [image.model_dump(mode="json") for image in top]}
    staged.write_bytes(TOP_NAME, json.dumps(listed, indent=1).encode())
    return merged


def check_output(images: Folder, out: Folder) -> None:
    """Raise InputError when the results would land among the images."""
    if not (images.is_local and out.is_local):
        same = images.fs.protocol == out.fs.protocol and (out.root + "/").startswith(images.root + "/")
    else:
        same = Path(out.root).resolve().is_relative_to(Path(images.root).resolve())
    if same:
        raise InputError(f"--out: expected a folder outside of the images, got {out.url} inside {images.url}")
