"""Two models on one night: how far they agree, and the images on which they differ the most."""

import heapq
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from nightglass.engine.evaluation import rate_interval
from nightglass.engine.merge import SCORES_NAME
from nightglass.errors import InputError
from nightglass.night.shadow_records import Agreement, Disagreement, Rate
from nightglass.retraining.comparison import correlate_ranks
from nightglass.storage import Folder

#: Differences that are kept to be shown.
MAX_DISAGREEMENTS = 12
_COLUMNS = ["path", "sha256", "image_score", "is_anomalous"]


class ScoredImage(NamedTuple):
    """One row of scores.parquet."""

    path: str
    sha256: str
    image_score: float
    is_anomalous: bool


class ScoredPair(NamedTuple):
    """The same image by both models."""

    champion: ScoredImage
    challenger: ScoredImage


@dataclass(frozen=True, order=True)
class _Ranked:
    """A difference in a heap; of equal ones the image whose path comes first counts as the larger."""

    gap: float
    reversed_path: tuple[int, ...] = field(repr=False)
    disagreement: Disagreement = field(compare=False)


def read_scores(folder: Folder) -> Iterator[ScoredImage]:
    """Read the rows of a score folder batch by batch, in the order of its manifest: by the bytes of the path."""
    with folder.open_read(SCORES_NAME) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=_COLUMNS):
            columns = (batch[name].to_pylist() for name in _COLUMNS)
            yield from map(ScoredImage, *columns)


def pair_scores(champion: Iterable[ScoredImage], challenger: Iterable[ScoredImage]) -> Iterator[ScoredPair]:
    """Pair what both models scored; an image that one of them left out is left out.

    Args:
        champion: Its rows, by rising bytes of the path.
        challenger: Its rows in the same order.

    Raises:
        InputError: One path has two contents: the scores are of different images.
    """
    ones, others = iter(champion), iter(challenger)
    one, other = next(ones, None), next(others, None)
    while one is not None and other is not None:
        if one.path == other.path:
            if one.sha256 != other.sha256:
                raise InputError(
                    f"{one.path!r}: expected the same content for champion and challenger, "
                    f"got {one.sha256[:12]} and {other.sha256[:12]}"
                )
            yield ScoredPair(one, other)
            one, other = next(ones, None), next(others, None)
        elif one.path.encode() < other.path.encode():
            one = next(ones, None)
        else:
            other = next(others, None)


def compare_scores(
    pairs: Iterable[ScoredPair],
    *,
    champion_threshold: float,
    challenger_threshold: float,
    limit: int = MAX_DISAGREEMENTS,
) -> tuple[Agreement, list[Disagreement]]:
    """Compare two models on the images that both scored.

    A score counts from its model's image threshold on: the unit of both is a robust deviation of good images, so that
    the distances of two models from their thresholds can be compared, and their scores cannot. Memory holds the two
    arrays of scores and ``limit`` differences.

    Args:
        pairs: The images.
        champion_threshold: The champion's image threshold.
        challenger_threshold: The challenger's.
        limit: At most so many differences are returned.

    Returns:
        The figures, and the images that only one of them finds anomalous, the largest difference first.
    """
    scores, alarms = (array("d"), array("d")), (array("b"), array("b"))
    heap: list[_Ranked] = []
    for champion, challenger in pairs:
        for place, image in enumerate((champion, challenger)):
            scores[place].append(image.image_score)
            alarms[place].append(image.is_anomalous)
        if champion.is_anomalous == challenger.is_anomalous or not limit:
            continue
        ranked = _rank(champion, challenger, champion_threshold, challenger_threshold)
        if len(heap) < limit:
            heapq.heappush(heap, ranked)
        else:
            heapq.heappushpop(heap, ranked)
    before, after = (np.frombuffer(found, np.int8).astype(bool) for found in alarms)
    total, both = len(before), int(np.count_nonzero(before & after))
    figures = Agreement(
        scored=total,
        both=both,
        only_champion=int(np.count_nonzero(before)) - both,
        only_challenger=int(np.count_nonzero(after)) - both,
        champion_rate=_rate(int(np.count_nonzero(before)), total),
        challenger_rate=_rate(int(np.count_nonzero(after)), total),
        agreement=float(np.count_nonzero(before == after)) / total if total else None,
        rank_correlation=correlate_ranks(*(np.frombuffer(found, np.float64) for found in scores)),
    )
    return figures, [ranked.disagreement for ranked in sorted(heap, reverse=True)]


def _rank(
    champion: ScoredImage, challenger: ScoredImage, champion_threshold: float, challenger_threshold: float
) -> _Ranked:
    margins = champion.image_score - champion_threshold, challenger.image_score - challenger_threshold
    anomalous_for: Literal["champion", "challenger"] = "champion" if champion.is_anomalous else "challenger"
    disagreement = Disagreement(
        path=champion.path,
        sha256=champion.sha256,
        anomalous_for=anomalous_for,
        champion_score=champion.image_score,
        challenger_score=challenger.image_score,
    )
    return _Ranked(abs(margins[0] - margins[1]), tuple(-byte for byte in champion.path.encode()), disagreement)


def _rate(count: int, total: int) -> Rate | None:
    if not total:
        return None
    low, high = rate_interval(count, total)
    return Rate(value=count / total, low=low, high=high)
