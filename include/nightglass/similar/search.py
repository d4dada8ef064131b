"""The images of many nights that are most similar to one: each night's index is searched, the best come together."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from nightglass.engine.shards import VECTOR_BYTES
from nightglass.engine.stage_times import count_workers
from nightglass.errors import NightglassError
from nightglass.similar.night import ScoredNight, Stamp, UnfinishedNightError, read_rows
from nightglass.similar.shelf import Shelf
from nightglass.similar.vectors import find_index

Floats = NDArray[np.float32]
_log = logging.getLogger(__name__)
_SHOWN_COLUMNS = ("path", "sha256", "image_score", "is_anomalous")
_REMOTE_READERS = 8
_SPARE = 2  # for each image that is shown so many are looked at: some are copies of others


@dataclass(frozen=True, eq=False)
class Asked:
    """A night and the vector ``(1, 128)`` to look for there; ``is_exact`` where the night's own version made it."""

    night: ScoredNight
    vector: Floats
    is_exact: bool


@dataclass(frozen=True)
class SimilarImage:
    """An image like the one asked for; ``similarity`` is the cosine of the two vectors, 1 for the same content.

    ``also_on`` are further nights with the same content, newest first.
    """

    night: ScoredNight
    similarity: float
    is_exact: bool
    path: str
    sha256: str
    image_score: float
    is_anomalous: bool
    also_on: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LeftOut:
    """A night that was not searched, and why."""

    collection: str
    night: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What a search found, the most similar first; ``images`` of ``nights`` were compared."""

    similar: Sequence[SimilarImage]
    nights: int
    images: int
    left_out: Sequence[LeftOut]


@dataclass(frozen=True, eq=False)
class _Place:
    asked: Asked
    stamp: Stamp
    row: int
    similarity: float


def find_similar(asked: Iterable[Asked], shelf: Shelf, top_k: int, *, apart_from: str | None = None) -> Found:
    """Search the nights and return the most similar images; copies of one content count as one.

    A night whose results cannot be read, or change while they are read, is left out and told. So is what does not fit
    into ``shelf``: the nights are taken as they come.

    Args:
        asked: The nights, those first that matter most.
        shelf: Keeps their indexes, 256 bytes an image.
        top_k: How many images are returned at most.
        apart_from: Content that is not looked for: that of the image asked for.
    """
    fitting, left_out = _choose_fitting(asked, shelf.max_bytes)
    looked = list(_pool().map(lambda one: _search_night(one, shelf, _SPARE * top_k), fitting))
    told = [*left_out, *(result for result in looked if isinstance(result, LeftOut))]
    places = [place for result in looked if not isinstance(result, LeftOut) for place in result]
    # Of equal images the one of the newest night is shown.
    places.sort(key=lambda place: place.asked.night.night, reverse=True)
    places.sort(key=lambda place: place.similarity, reverse=True)
    rows, gone = _read_places(places[: _SPARE * top_k])
    told += gone
    without = {(one.collection, one.night) for one in told}
    searched = [one.night for one in fitting if (one.night.collection, one.night.night) not in without]
    similar = _fold(places[: _SPARE * top_k], rows, apart_from)[:top_k]
    return Found(similar, len(searched), sum(night.scored for night in searched), told)


def _choose_fitting(asked: Iterable[Asked], max_bytes: int) -> tuple[list[Asked], list[LeftOut]]:
    fitting: list[Asked] = []
    left_out: list[LeftOut] = []
    room = max_bytes
    for one in asked:
        night = one.night
        room -= night.scored * VECTOR_BYTES
        if room >= 0:
            fitting.append(one)
        else:
            reason = f"no room: the indexes of more nights than these take over {max_bytes // 2**20:,} MiB of memory"
            left_out.append(LeftOut(night.collection, night.night, reason))
    return fitting, left_out


def _search_night(asked: Asked, shelf: Shelf, top_k: int) -> list[_Place] | LeftOut:
    try:
        index, stamp = find_index(asked.night, shelf)
    except NightglassError as error:
        return _leave_out(asked.night, error)
    similarity, rows = index.search(asked.vector, min(top_k, asked.night.scored))
    return [
        _Place(asked, stamp, row, min(1.0, value))
        for row, value in zip(rows[0].tolist(), similarity[0].tolist(), strict=True)
    ]


def _read_places(places: Sequence[_Place]) -> tuple[dict[_Place, dict[str, Any]], list[LeftOut]]:
    by_night: dict[ScoredNight, list[_Place]] = defaultdict(list)
    for place in places:
        by_night[place.asked.night].append(place)
    rows: dict[_Place, dict[str, Any]] = {}
    left_out: list[LeftOut] = []
    for found in _pool().map(_read_night, by_night.values()):
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            rows |= found
    return rows, left_out


def _read_night(places: Sequence[_Place]) -> dict[_Place, dict[str, Any]] | LeftOut:
    night = places[0].asked.night
    try:
        rows = read_rows(night, [place.row for place in places], _SHOWN_COLUMNS)
        night.check_stamp(places[0].stamp)
    except NightglassError as error:
        return _leave_out(night, error)
    return dict(zip(places, rows, strict=True))


def _fold(places: Sequence[_Place], rows: dict[_Place, dict[str, Any]], apart_from: str | None) -> list[SimilarImage]:
    """Return the images by falling similarity; what has the content of an earlier one is only noted there."""
    folded: dict[tuple[str, str], SimilarImage] = {}
    for place in places:
        if place not in rows or rows[place]["sha256"] == apart_from:
            continue
        row, night = rows[place], place.asked.night
        key = (night.collection, row["sha256"])
        if key not in folded:
            folded[key] = SimilarImage(night, place.similarity, place.asked.is_exact, **row)
        elif night.night != folded[key].night.night and night.night not in folded[key].also_on:
            folded[key].also_on.append(night.night)
    return list(folded.values())


def _leave_out(night: ScoredNight, error: NightglassError) -> LeftOut:
    if isinstance(error, UnfinishedNightError):
        return LeftOut(night.collection, night.night, str(error).removeprefix(f"{night.where}: "))
    _log.warning("%s was left out of a search: %s", night.where, error)
    return LeftOut(night.collection, night.night, "its store does not answer as it should; the server's log says more")


@cache
def _pool() -> ThreadPoolExecutor:
    # FAISS's own threads share out questions, and there is one: each of these takes a night at a time. More than there
    # are processors, since a remote store keeps them waiting.
    return ThreadPoolExecutor(max(_REMOTE_READERS, count_workers()), "search", faiss.omp_set_num_threads, (1,))
