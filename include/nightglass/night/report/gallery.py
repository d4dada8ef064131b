"""The night's top anomalies with their maps and their nearest good neighbours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nightglass.errors import InputError
from nightglass.night.report.images import (
    Size,
    legend_uri,
    open_picture,
    overlay_uri,
    photo_uri,
    thumbnail_uri,
)
from nightglass.records import NeighborImage, TopAnomaly
from nightglass.storage import Folder

MAX_ENTRIES = 60
MAX_NEIGHBORS = 4
# Characters of all pictures together: 3 MB of the report's 5, the rest is left to text and charts.
PICTURE_BUDGET = 3_000_000
_MAX_ENTRY_BUDGET = 200_000
_PHOTO_SHARE, _OVERLAY_SHARE, _NEIGHBORS_SHARE = 0.55, 0.25, 0.20


@dataclass(frozen=True)
class Neighbor:
    """A known-good image near an anomaly; ``thumbnail`` is a ``data:`` address."""

    path: str
    distance: float
    thumbnail: str | None


@dataclass(frozen=True)
class Entry:
    """One anomaly; ``photo`` and ``overlay`` are ``data:`` addresses, ``problem`` says why one is missing."""

    anomaly: TopAnomaly
    photo: str | None
    overlay: str | None
    size: Size
    problem: str
    neighbors: Sequence[Neighbor]


@dataclass(frozen=True)
class Gallery:
    """All entries; the bars of their scores run from ``scale[0]`` to ``scale[1]``."""

    entries: Sequence[Entry]
    total: int
    threshold: float
    scale: tuple[float, float]
    legend: str

    def position(self, score: float) -> float:
        """Return where a score lies on the bar, in percent."""
        low, high = self.scale
        if not math.isfinite(score):
            return 0.0
        return round(min(100.0, max(0.0, (score - low) / (high - low) * 100)), 2)


def build_gallery(anomalies: Sequence[TopAnomaly], threshold: float, source: Folder, gone: str = "") -> Gallery | None:
    """Read and shrink the pictures of the highest-ranked anomalies; ``None`` when there are none.

    A picture that is missing or broken leaves a placeholder that says so: the rest of the night still counts. Where
    all pictures were removed, ``gone`` says why in the place of each.
    """
    shown = sorted(anomalies, key=lambda anomaly: anomaly.rank)[:MAX_ENTRIES]
    if not shown:
        return None
    if gone:
        return arrange([entry_without_pictures(anomaly, gone) for anomaly in shown], len(anomalies), threshold)
    budget = min(_MAX_ENTRY_BUDGET, PICTURE_BUDGET // len(shown))
    return arrange([_build_entry(anomaly, source, budget) for anomaly in shown], len(anomalies), threshold)


def arrange(entries: Sequence[Entry], total: int, threshold: float) -> Gallery:
    """Return the gallery of ``entries``, with a scale that holds their scores and the threshold."""
    scores = [threshold, *(entry.anomaly.image_score for entry in entries)]
    finite = [score for score in scores if math.isfinite(score)] or [0.0]
    low, high = min(0.0, *finite), max(finite)
    scale = (low, high if high > low else low + 1)
    return Gallery(entries=entries, total=total, threshold=threshold, scale=scale, legend=legend_uri())


def entry_without_pictures(anomaly: TopAnomaly, why: str) -> Entry:
    """Return an entry that says why its pictures are not there."""
    near = [Neighbor(neighbor.path, neighbor.distance, None) for neighbor in anomaly.neighbors[:MAX_NEIGHBORS]]
    return Entry(anomaly, photo=None, overlay=None, size=(1, 1), problem=why, neighbors=near)


def _build_entry(anomaly: TopAnomaly, source: Folder, budget: int) -> Entry:
    photo, overlay, size, problem = None, None, (1, 1), ""
    try:
        photo, size = photo_uri(open_picture(source, anomaly.image), int(budget * _PHOTO_SHARE))
        anomaly_map = open_picture(source, anomaly.anomaly_map)
        overlay = overlay_uri(anomaly_map, size, int(budget * _OVERLAY_SHARE))
    except InputError as error:
        problem = str(error)
    near = anomaly.neighbors[:MAX_NEIGHBORS]
    each = int(budget * _NEIGHBORS_SHARE) // max(1, len(near))
    return Entry(anomaly, photo, overlay, size, problem, [_build_neighbor(n, source, each) for n in near])


def _build_neighbor(neighbor: NeighborImage, source: Folder, budget: int) -> Neighbor:
    thumbnail = None
    if neighbor.thumbnail:
        try:
            thumbnail = thumbnail_uri(open_picture(source, neighbor.thumbnail), budget)
        except InputError:
            thumbnail = None  # the template shows an empty frame that says so
    return Neighbor(neighbor.path, neighbor.distance, thumbnail)
