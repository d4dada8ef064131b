"""From the costs of an image to a night: a pure function, so that every figure can be followed."""

import math

from nightglass.capacity.stage_costs import StageCosts
from nightglass.engine.shards import plan_shards
from nightglass.engine.stage_times import WORKING_STAGES
from nightglass.records import Record

#: Airflow's own start of a task with the imports of the package, seconds: docs/performance.md, "a shard's task".
TASK_SECONDS = 1.9
#: For each million rows, seconds: docs/performance.md, validate, assess and publish.
VALIDATE_SECONDS, ASSESS_SECONDS, PUBLISH_SECONDS = 8.0, 9.5, 5.0
#: MB; docs/performance.md: a task that scores, and what listing and assessing add for a million rows.
_TASK_MB, _ROWS_MB = 410, 600
_BATCH_LIMIT_BYTES = 64 * 1024 * 1024  # of encoded files in a batch
_LISTED_AT_ONCE = 1_000  # names in one answer of an object store


class Question(Record):
    """A night that is asked about; ``workers`` is how many tasks run at once, each with ``cores`` cores."""

    images: int
    workers: int
    cores: int
    store_bytes_per_second: float | None  # that one task reads; None: as where it was measured
    shard_size: int
    batch_size: int
    top_k: int
    price_per_hour: float | None
    currency: str


class Forecast(Record):
    """What a night will take. Bytes are of all images; memory is that of one task at its most."""

    images: int
    megapixels: float
    workers: int
    cores: int
    shards: int
    images_per_shard: int
    rounds: int  # of shards: how many each worker scores, at most
    wall_seconds: float
    wall_parts: dict[str, float]  # list, score, finish, and Airflow's own starts
    compute_seconds: float
    images_per_second: float
    cost: float | None
    cost_per_1000_images: float | None
    cost_of_workers: float | None  # of all workers for the whole wall time, idle or not
    currency: str
    shard_memory_mb: int
    night_memory_mb: int
    image_bytes: int
    read_bytes: int
    read_requests: int
    read_bytes_per_second: int  # at its most, by all workers together
    kept_bytes: int
    written_bytes: int
    limited_by: str
    notes: list[str]


def forecast(question: Question, measured: StageCosts) -> Forecast:
    """Return what a night takes.

    Listing is one task; shards are dealt out evenly; the rest is one task after the other. Every image is read twice:
    when it is listed, and when it is scored.

    Args:
        question: The night.
        measured: What an image of this size costs, on any number of cores.
    """
    costs = measured.with_cores(question.cores)
    if question.store_bytes_per_second is not None:
        costs = costs.read_at(question.store_bytes_per_second)
    shards = plan_shards(question.images, question.shard_size)
    largest, rounds = shards[0].stop, math.ceil(len(shards) / question.workers)
    millions = question.images / 1e6
    listing = question.images * costs.list_seconds
    scoring = _score_seconds(len(shards), largest, rounds, question, costs)
    finishing = costs.finish_seconds + millions * (VALIDATE_SECONDS + ASSESS_SECONDS + PUBLISH_SECONDS)
    starting = TASK_SECONDS * (rounds + 4)  # list, validate, assess, publish
    wall = listing + scoring + finishing + starting
    compute = listing + question.images * costs.shard_seconds + len(shards) * costs.load_seconds + costs.finish_seconds
    price = None if question.price_per_hour is None else question.price_per_hour / 3600
    busy = min(question.workers, len(shards))
    rows_bytes = question.images * costs.row_bytes
    kept = rows_bytes + question.top_k * costs.picture_bytes
    read_bytes = 2 * question.images * costs.image_bytes
    return Forecast(
        images=question.images,
        megapixels=round(costs.megapixels, 3),
        workers=question.workers,
        cores=question.cores,
        shards=len(shards),
        images_per_shard=largest,
        rounds=rounds,
        wall_seconds=round(wall, 1),
        wall_parts={
            "list": round(listing, 1),
            "score": round(scoring, 1),
            "finish": round(finishing, 1),
            "task starts": round(starting, 1),
        },
        compute_seconds=round(compute, 1),
        images_per_second=round(question.images / wall, 1),
        cost=None if price is None else compute * price,
        cost_per_1000_images=None if price is None else compute * price * 1000 / question.images,
        cost_of_workers=None if price is None else wall * question.workers * price,
        currency=question.currency,
        shard_memory_mb=_shard_memory(question, costs),
        night_memory_mb=round(300 + _ROWS_MB * millions),
        image_bytes=round(costs.image_bytes),
        read_bytes=round(read_bytes),
        read_requests=2 * question.images + math.ceil(question.images / _LISTED_AT_ONCE),
        read_bytes_per_second=round(
            max(costs.image_bytes / costs.list_seconds, busy * costs.image_bytes / costs.shard_seconds)
        ),
        kept_bytes=round(kept),
        written_bytes=round(kept + rows_bytes),
        limited_by=_name_limit(listing, scoring, costs),
        notes=_write_notes(len(shards), question, listing, scoring),
    )


def _score_seconds(shards: int, largest: int, rounds: int, question: Question, costs: StageCosts) -> float:
    """Return how long the worker with the most to do scores; the last shard may be smaller than the others."""
    last = question.images - (shards - 1) * largest
    images = rounds * largest if shards % question.workers != 1 or rounds == 1 else (rounds - 1) * largest + last
    return min(images, question.images) * costs.shard_seconds + rounds * costs.load_seconds


def _shard_memory(question: Question, costs: StageCosts) -> int:
    """Return MB of a shard's task: what it has anyway, and the encoded files of the batches that are in flight."""
    batch = min(question.batch_size * costs.image_bytes, _BATCH_LIMIT_BYTES)
    return round(_TASK_MB + (question.cores + 3) * batch / 1e6)


def _name_limit(listing: float, scoring: float, costs: StageCosts) -> str:
    if listing > scoring:
        return "listing, which is one task however many workers there are"
    stage = max(costs.stage_shares, key=lambda stage: costs.stage_shares[stage])
    return WORKING_STAGES[stage]


def _write_notes(shards: int, question: Question, listing: float, scoring: float) -> list[str]:
    notes = []
    if question.workers > shards:
        notes.append(
            f"{question.workers - shards} of {question.workers} workers get no shard: lower scoring.shard_size "
            f"({question.shard_size}), a night has at most 256"
        )
    elif question.workers < shards < 3 * question.workers and shards % question.workers:
        idle = question.workers - shards % question.workers
        notes.append(f"in the last round {idle} of {question.workers} workers have nothing to do")
    if listing > 0.25 * scoring and question.workers > 1:
        notes.append("more workers shorten only the scoring; more cores, and a store nearby, shorten the listing too")
    return notes
