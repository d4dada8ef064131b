"""What a challenger is fitted on and measured on: chosen from the champion's own images, recent nights and verdicts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.engine.training_record import DELETED, TRAINING_SCHEMA
from nightglass.errors import InputError
from nightglass.retraining.candidates import UNSURE, Candidates, Flags, apply_verdicts, freeze, open_candidates
from nightglass.retraining.gathering import NightImages
from nightglass.retraining.records import TrainingFacts
from nightglass.retraining.screening import (
    UsualDistances,
    bank_vectors,
    find_dense_group,
    is_near,
    is_typical,
    score_of_share,
    thin_out,
)
from nightglass.retraining.training_images import data_version
from nightglass.retraining.verdicts import VerdictsInEffect

#: Leave-one-out image scores ``(N,)`` of the images of a table, against each other; NaN for those not measured.
MeasureGroup = Callable[[pa.Table], NDArray[np.float64]]
#: The frozen images: a training record's columns and what the comparison needs.
FROZEN_SCHEMA = pa.schema(
    [*TRAINING_SCHEMA, ("presumed_good", pa.bool_()), ("slices", pa.list_(pa.string())), ("night", pa.string())]
)
LIKE_GOOD, NEW_NORMAL = "like known good images", "a new kind of normal"
CALLED_NORMAL, CALLED_DEFECT = "an analyst's verdict: normal", "an analyst's verdict: defect"
CHAMPIONS = "the champion's training set"
BY_ANOTHER, ANOMALOUS, UNUSUAL = "scored by another model", "anomalous", "unlike most good images"
_GOOD = (LIKE_GOOD, NEW_NORMAL, CALLED_NORMAL)
_MIN_GROUP = 30
_NEAR_FROZEN = "near-duplicate, frozen"
_NEVER_MEASURED = (_NEAR_FROZEN, BY_ANOTHER, UNSURE)


@dataclass(frozen=True)
class Snapshot:
    """``training`` by `TRAINING_SCHEMA`, ``frozen`` by `FROZEN_SCHEMA`, and the facts people read."""

    training: pa.Table
    frozen: pa.Table
    facts: TrainingFacts


def take_snapshot(
    champion: Detector,
    record: pa.Table,
    nights: Iterable[NightImages],
    verdicts: VerdictsInEffect,
    collection: Collection,
    measure_group: MeasureGroup,
) -> Snapshot:
    """Choose training images and frozen images.

    Args:
        champion: The production model; what it scored as this share of good images or higher stays out.
        record: What the champion was fitted on.
        nights: The recent nights.
        verdicts: What analysts said.
        collection: Its slices, seed and ``retraining`` options.
        measure_group: Scores images against each other; called for a possible new kind of normal only.

    Raises:
        InputError: No night in reach was scored by the champion.
    """
    options, seed = collection.retraining, collection.detector.seed
    record, deleted = _drop_deleted(record)
    record, known, unsure = _relabel(record, verdicts)
    pool = open_candidates(nights, known, collection.slices)
    if not pool.by_champion.any():
        raise InputError(f"{collection.name}: expected nights that the champion scored, got none in reach")
    bank = bank_vectors(champion)
    usual = UsualDistances.measure(bank, seed)
    in_bulk = apply_verdicts(pool, verdicts)
    freeze(pool, options.evaluation_share)
    _screen(pool, score_of_share(champion, 1 - options.screen_rate))
    told = _admit_group(pool, in_bulk, usual, collection, measure_group)
    _drop_near_duplicates(pool, bank, usual, seed)
    _limit_shares(pool, len(record), collection)
    training = _training_table(pool, record)
    if options.adapt == "none":
        training = training.filter(pc.invert(_is_defect(training)))
    facts = TrainingFacts(
        data_version=data_version(training),
        images=pc.sum(pc.invert(_is_defect(training))).as_py(),
        defects=pc.sum(_is_defect(training)).as_py(),
        called_normal=sum(label == "normal" for label in training["label"].to_pylist()),
        champion_images=len(record),
        sources=dict(sorted(Counter(training["source"].to_pylist()).items())),
        left_out=dict(Counter(why for why in pool.left_out if why).most_common()) | unsure | deleted,
        new_normal=told,
    )
    return Snapshot(training, _frozen_table(pool), facts)


def _drop_deleted(record: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Leave out the champion's images that were deleted on request since it was fitted."""
    kept = record.filter(pc.fill_null(pc.not_equal(record["reason"], DELETED), True))
    dropped = len(record) - len(kept)
    return kept, {DELETED: dropped} if dropped else {}


def _relabel(record: pa.Table, verdicts: VerdictsInEffect) -> tuple[pa.Table, set[str], dict[str, int]]:
    """Bring the labels of the champion's images up to date; those that an analyst is unsure of leave."""
    found = [verdicts.find("", sha256) for sha256 in record["sha256"].to_pylist()]
    labels = [
        old if verdict is None else verdict.label
        for verdict, old in zip(found, record["label"].to_pylist(), strict=True)
    ]
    is_kept = pa.array([verdict is None or verdict.verdict != "unsure" for verdict in found], pa.bool_())
    record = _replace(record, "label", pa.array(labels, pa.string()))
    record = _replace(record, "reason", pa.array([CHAMPIONS] * len(record), pa.string()))
    record = _replace(record, "path", pc.binary_join_element_wise(record["source"], record["path_in_folder"], "/"))
    known = set(record["sha256"].to_pylist())
    dropped = len(record) - int(pc.sum(is_kept).as_py() or 0)
    return record.filter(is_kept), known, {"an analyst is unsure of a training image": dropped} if dropped else {}


def _screen(pool: Candidates, limit: float) -> None:
    """Take what analysts called normal or a defect, and what the champion finds like most good images."""
    scores, anomalous = pool.table["image_score"].to_pylist(), pool.table["is_anomalous"].to_pylist()
    for number, label in enumerate(pool.labels):
        if pool.left_out[number]:
            continue
        if label is not None:
            pool.reasons[number] = CALLED_NORMAL if label == "normal" else CALLED_DEFECT
        elif not pool.by_champion[number]:
            pool.left_out[number] = BY_ANOTHER
        elif scores[number] < limit:
            pool.reasons[number] = LIKE_GOOD
        else:
            pool.left_out[number] = ANOMALOUS if anomalous[number] else UNUSUAL


def _admit_group(
    pool: Candidates, in_bulk: Flags, usual: UsualDistances, collection: Collection, measure_group: MeasureGroup
) -> str | None:
    """Let in the typical images of a new kind of normal; return what people are told of one."""
    options = collection.retraining
    waiting = np.array([why in {ANOMALOUS, UNUSUAL} for why in pool.left_out], bool)
    group = waiting & in_bulk
    told = []
    free = np.flatnonzero(waiting & ~in_bulk)
    dense = free[find_dense_group(pool.vectors[free], usual, collection.detector.seed)]
    share, night = _largest_share(pool, dense)
    if len(dense) >= _MIN_GROUP and share >= options.new_normal_share:
        told.append(
            f"{len(dense)} images that the champion finds unusual look like one new kind of normal; they are "
            f"{share:.0%} of the night {night}."
        )
        group[dense] = options.new_normal == "admit"
        if options.new_normal == "ask":
            told.append(
                "They stay out; the verdict 'normal' on their night or slice, or retraining.new_normal: admit, lets "
                "them in."
            )
    members = np.flatnonzero(group)
    if len(members) >= _MIN_GROUP:
        let_in = _admit_typical(pool, members, measure_group(pool.table.take(pa.array(members))))
        told.append(
            f"{len(members)} images were screened among themselves: {let_in} typical ones are let in, to train or to "
            "measure."
        )
    return " ".join(told) or None


def _admit_typical(pool: Candidates, members: NDArray[np.int64], scores: NDArray[np.float64]) -> int:
    """Let in the images of a group that are typical by their ``scores`` among themselves; return how many."""
    typical = np.zeros(len(members), bool)
    typical[~np.isnan(scores)] = is_typical(scores[~np.isnan(scores)])
    for number in members[typical]:
        pool.reasons[number], pool.left_out[number] = NEW_NORMAL, None
    pool.leave_out(members[~typical], "not typical of the new kind of normal")
    return int(typical.sum())


def _largest_share(pool: Candidates, numbers: NDArray[np.int64]) -> tuple[float, str]:
    nights = pool.table["source"].to_pylist()
    sizes, members = Counter(nights), Counter(nights[number] for number in numbers)
    return max(((count / sizes[night], night) for night, count in members.items()), default=(0.0, ""))


def _drop_near_duplicates(pool: Candidates, bank: NDArray[np.float32], usual: UsualDistances, seed: int) -> None:
    """Keep the frozen images apart from everything that is trained on, and nothing twice in the training set."""
    frozen = pool.taken(frozen=True)
    comparable = frozen[pool.by_champion[frozen]]
    pool.leave_out(comparable[is_near(pool.vectors[comparable], bank, usual.duplicate)], _NEAR_FROZEN)
    frozen = pool.taken(frozen=True)
    frozen = frozen[pool.by_champion[frozen]]
    known = np.concatenate([bank, pool.vectors[frozen]])
    # What the champion never saw all lies in one direction from what it knows, so that a new kind looks crowded to it.
    new = np.concatenate([pool.taken(frozen=is_frozen, reasons=(NEW_NORMAL,)) for is_frozen in (False, True)])
    distances = {LIKE_GOOD: usual}
    if len(new) >= _MIN_GROUP:
        distances[NEW_NORMAL] = UsualDistances.measure(pool.vectors[new], seed)
    for reason, among in distances.items():
        training = pool.taken(frozen=False, reasons=(reason,))
        pool.leave_out(training[~thin_out(pool.vectors[training], known, among)], "near-duplicate")


def _limit_shares(pool: Candidates, others: int, collection: Collection) -> None:
    """Take at random what one night, or one slice, has more than its share of the training images."""
    options, random = collection.retraining, np.random.default_rng(collection.detector.seed)
    nights = pool.table["source"].to_pylist()
    limited: list[tuple[str, float, list[tuple[str, ...]]]] = [
        ("more than one night's share", options.max_night_share, [(night,) for night in nights]),
        ("more than one slice's share", options.max_slice_share, pool.slices),
    ]
    for why, share, names in limited:
        taken = pool.taken(frozen=False, reasons=_GOOD)
        for name in sorted({name for number in taken for name in names[number]}):
            own = [number for number in taken if name in names[number] and pool.reasons[number] is not None]
            rest = others + sum(pool.reasons[number] is not None for number in taken) - len(own)
            most = len(own) if share >= 1 else int(share / (1 - share) * rest)
            # What analysts called normal goes last.
            order = random.permutation(len(own)).tolist()
            order.sort(key=lambda place: pool.reasons[own[place]] == CALLED_NORMAL)
            pool.leave_out([own[place] for place in order[: max(0, len(own) - most)]], why)


def _training_table(pool: Candidates, record: pa.Table) -> pa.Table:
    numbers = pool.taken(frozen=False)
    return pa.concat_tables([record, _take(pool, numbers).select(TRAINING_SCHEMA.names).cast(TRAINING_SCHEMA)])


def _frozen_table(pool: Candidates) -> pa.Table:
    # What the champion finds anomalous is measured too: it shows how far the models' rankings agree.
    is_dropped = [why in _NEVER_MEASURED for why in pool.left_out]
    numbers = np.flatnonzero(pool.is_frozen & ~np.array(is_dropped, bool))
    table = _take(pool, numbers)
    extra: dict[str, Any] = {
        "presumed_good": pa.array([pool.reasons[number] in _GOOD for number in numbers], pa.bool_()),
        "slices": pa.array([list(pool.slices[number]) for number in numbers], pa.list_(pa.string())),
        "night": table["source"],
    }
    return pa.table([extra[name] if name in extra else table[name] for name in FROZEN_SCHEMA.names], FROZEN_SCHEMA)


def _take(pool: Candidates, numbers: NDArray[np.int64]) -> pa.Table:
    table = pool.table.take(pa.array(numbers, pa.int64()))
    table = _replace(table, "label", pa.array([pool.labels[number] for number in numbers], pa.string()))
    return _replace(table, "reason", pa.array([pool.reasons[number] for number in numbers], pa.string()))


def _is_defect(table: pa.Table) -> pa.Array:
    return pc.fill_null(pc.equal(table["label"], "defect"), False)


def _replace(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
