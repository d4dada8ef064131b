"""The images of many nights that are most similar to one: each night's index is searched, the best come together."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import faiss

from nightglass.engine.shards import VECTOR_BYTES
from nightglass.engine.stage_times import count_workers
from nightglass.errors import NightglassError
from nightglass.similar.looking import Asked, NightSearch, Place
from nightglass.similar.night import ScoredNight, UnfinishedNightError
from nightglass.similar.shelf import Shelf

_log = logging.getLogger(__name__)
_REMOTE_READERS = 8
_SPARE = 2  # for each image that is shown so many are looked at: some are copies of others


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


def find_similar(
    asked: Iterable[Asked],
    shelf: Shelf,
    top_k: int,
    *,
    apart_from: str | None = None,
    is_settled: Callable[[ScoredNight], bool] = lambda _: True,
) -> Found:
    """Search the nights and return the most similar images; copies of one content count as one.

    A night whose results cannot be read, or change while they are read, is left out and told. So is what does not fit
    into ``shelf``: the nights are taken as they come.

    Args:
        asked: The nights, those first that matter most.
        shelf: Keeps their indexes, 256 bytes an image.
        top_k: How many images are returned at most.
        apart_from: Content that is not looked for: that of the image asked for.
        is_settled: Tells whether what was read of a night by now is what was published of it; else it is left out.
    """
    fitting, left_out = _choose_fitting(asked, shelf.max_bytes)
    nights = [NightSearch(one, shelf, is_settled) for one in fitting]
    most = _SPARE * top_k
    failed = _each(nights, lambda night: night.look_further(most))
    while True:
        left_out += failed.values()
        nights = [night for night in nights if night not in failed]
        similar = _fold(nights, apart_from)
        left = [night.best_left for night in nights if night.best_left is not None]
        if not left or (len(similar) >= top_k and similar[top_k - 1].similarity >= max(left)):
            break
        unread = _in_order(place for night in nights for place in night.unread)
        ends = [night for night in nights if not night.unread and not night.is_complete]
        # Where all that a night found was copies, what lies behind them may come before what the others found.
        if ends and (not unread or max(left) > unread[0].similarity):
            failed = _each(ends, lambda night: night.look_further(most))
        else:
            failed = _read(nights, unread[:most])
    return Found(similar[:top_k], len(nights), sum(one.night.scored for one in nights), left_out)


def _each(nights: Sequence[NightSearch], work: Callable[[NightSearch], None]) -> dict[NightSearch, LeftOut]:
    """Do the work for each night, several at once; return those for which it failed."""

    def attempt(search: NightSearch) -> LeftOut | None:
        try:
            work(search)
        except NightglassError as error:
            return _leave_out(search.night, error)
        return None

    done = zip(nights, _pool().map(attempt, nights), strict=True)
    return {search: failure for search, failure in done if failure}


def _in_order(places: Iterable[Place]) -> list[Place]:
    """Return the places by falling similarity; of equal ones that of the newest night comes first."""
    newest_first = sorted(places, key=lambda place: place.asked.night.night, reverse=True)
    return sorted(newest_first, key=lambda place: place.similarity, reverse=True)


def _read(nights: Iterable[NightSearch], places: Iterable[Place]) -> dict[NightSearch, LeftOut]:
    parts: dict[Asked, list[Place]] = defaultdict(list)
    for place in places:
        parts[place.asked].append(place)
    return _each([night for night in nights if night.asked in parts], lambda night: night.read(parts[night.asked]))


def _fold(nights: Iterable[NightSearch], apart_from: str | None) -> list[SimilarImage]:
    """Return the images by falling similarity; what has the content of an earlier one is only noted there."""
    rows = {place: row for night in nights for place, row in night.rows.items()}
    folded: dict[tuple[str, str], SimilarImage] = {}
    for place in _in_order(rows):
        row, night = rows[place], place.asked.night
        if row["sha256"] == apart_from:
            continue
        key = (night.collection, row["sha256"])
        if key not in folded:
            folded[key] = SimilarImage(night, place.similarity, place.asked.is_exact, **row)
        elif night.night != folded[key].night.night and night.night not in folded[key].also_on:
            folded[key].also_on.append(night.night)
    return list(folded.values())


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
