"""The images of recent nights side by side: which are labelled, which are frozen, and what is decided about each."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nightglass.detector.night_space import DIMENSIONS
from nightglass.images.slices import slices_of
from nightglass.retraining.gathering import GATHERED_SCHEMA, GOLDEN, NightImages
from nightglass.retraining.verdicts import VerdictsInEffect

Flags = NDArray[np.bool_]
UNSURE = "an analyst is unsure"


@dataclass
class Candidates:
    """N images, each content once: why each is taken (``reasons``), or why it is left out.

    ``vectors (N, 128)`` are those of the nights' indexes; ``by_champion`` tells whose scores and vectors they are.
    """

    table: pa.Table
    vectors: NDArray[np.float32]
    by_champion: Flags
    slices: list[tuple[str, ...]]
    labels: list[str | None]
    is_frozen: Flags
    reasons: list[str | None]
    left_out: list[str | None]

    def leave_out(self, numbers: Iterable[int], why: str) -> None:
        """Leave images out after all."""
        for number in numbers:
            self.reasons[number], self.left_out[number] = None, why

    def taken(self, *, frozen: bool, reasons: tuple[str, ...] = ()) -> NDArray[np.int64]:
        """Return the numbers of the frozen images, or of the others, that are taken (for one of ``reasons``)."""
        wanted = [r is not None and (not reasons or r in reasons) for r in self.reasons]
        return np.flatnonzero(np.array(wanted, bool) & (self.is_frozen == frozen))


def open_candidates(nights: Iterable[NightImages], known: set[str], pattern: str | None) -> Candidates:
    """Put the nights side by side, each content once; what the champion was fitted on cannot judge it."""
    tables, vectors, by_champion = [GATHERED_SCHEMA.empty_table()], [np.empty((0, DIMENSIONS), np.float32)], []
    seen = set(known)
    for night in nights:
        rows = []
        for number, sha256 in enumerate(night.table["sha256"].to_pylist()):
            if sha256 not in seen:
                seen.add(sha256)
                rows.append(number)
        tables.append(night.table.take(pa.array(rows, pa.int64())))
        vectors.append(night.vectors[rows])
        by_champion.extend([night.by_champion] * len(rows))
    table = pa.concat_tables(tables)
    count = len(table)
    return Candidates(
        table=table,
        vectors=np.concatenate(vectors),
        by_champion=np.array(by_champion, bool),
        slices=[slices_of(path, pattern) for path in table["path_in_folder"].to_pylist()],
        labels=table["label"].to_pylist(),
        is_frozen=np.zeros(count, bool),
        reasons=[None] * count,
        left_out=[None] * count,
    )


def apply_verdicts(candidates: Candidates, verdicts: VerdictsInEffect) -> Flags:
    """Label the images; return which were called normal in bulk, as defects may hide among those."""
    in_bulk = np.zeros(len(candidates.table), bool)
    contents = zip(candidates.table["source"].to_pylist(), candidates.table["sha256"].to_pylist(), strict=True)
    for number, (night, sha256) in enumerate(contents):
        verdict = verdicts.find(night, sha256, candidates.slices[number])
        if verdict is None or night == GOLDEN:  # whose labels are its own
            continue
        if verdict.verdict == "unsure":
            candidates.left_out[number] = UNSURE
        elif verdict.scope != "image" and verdict.verdict == "normal":
            in_bulk[number] = True
        else:
            candidates.labels[number] = verdict.label
    return in_bulk


def freeze(candidates: Candidates, share: float) -> None:
    """Freeze the golden set, and the latest ``share`` of every night, of its labelled images label by label.

    Images that follow each other are alike: a cut in time parts them only once. Where a golden set has defects, the
    nights' labelled images are all learned from.
    """
    sources = candidates.table["source"].to_pylist()
    is_measured = any(
        night == GOLDEN and label == "defect" for night, label in zip(sources, candidates.labels, strict=True)
    )
    times = candidates.table["modified_at"].cast(pa.int64()).fill_null(0).to_pylist()
    paths = candidates.table["path_in_folder"].to_pylist()
    groups: dict[tuple[str, str | None], list[int]] = {}
    for number, night in enumerate(sources):
        groups.setdefault((night, candidates.labels[number]), []).append(number)
    for (night, label), numbers in groups.items():
        if night == GOLDEN:
            candidates.is_frozen[numbers] = True
        if night == GOLDEN or (is_measured and label is not None):
            continue
        numbers.sort(key=lambda number: (times[number], paths[number]))
        candidates.is_frozen[numbers[len(numbers) - round(share * len(numbers)) :]] = True
