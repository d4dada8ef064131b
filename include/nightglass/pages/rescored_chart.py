"""The chart of two rates a night: that of the time, and that of the version which scored the night again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from nightglass.backfill.records import RescoredNight
from nightglass.night.report.figures import percent
from nightglass.pages.timeline import find_step

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 994.0, 12.0, 190.0
_MOST_DATES = 9
_HALF_DATE = 18.0


@dataclass(frozen=True)
class RescoredPoint:
    """A night: where its two rates stand, None without a rate, and where its band begins."""

    x: float
    left: float
    width: float
    then: float | None
    now: float | None
    night: RescoredNight


@dataclass(frozen=True)
class RescoredChart:
    """Everything of the chart, the oldest night first; ``rates`` and ``dates`` are marks as ``(place, text)``."""

    points: Sequence[RescoredPoint]
    lines_then: Sequence[str]
    lines_now: Sequence[str]
    rates: Sequence[tuple[float, str]]
    dates: Sequence[tuple[float, str]]


def draw_chart(nights: Sequence[RescoredNight]) -> RescoredChart:
    """Place the nights; the oldest first, at least one."""
    step = (_RIGHT - _LEFT) / len(nights)
    most = max(rate or 0.0 for night in nights for rate in (night.champion_rate, night.rate))
    rate_step = find_step(most)
    highest = rate_step * max(1, -(-most // rate_step))

    def height(rate: float | None) -> float | None:
        return None if rate is None else round(_BOTTOM - rate / highest * (_BOTTOM - _TOP), 1)

    points = [
        RescoredPoint(
            x=round(_LEFT + (place + 0.5) * step, 1),
            left=round(_LEFT + place * step, 1),
            width=round(step, 1),
            then=height(night.champion_rate),
            now=height(night.rate),
            night=night,
        )
        for place, night in enumerate(nights)
    ]
    every = -(-len(nights) // _MOST_DATES)
    dated = list(range(len(nights) - 1, -1, -every))[::-1]
    marks = [number * rate_step for number in range(round(highest / rate_step) + 1)]
    return RescoredChart(
        points=points,
        lines_then=_join(points, lambda point: point.then),
        lines_now=_join(points, lambda point: point.now),
        rates=[(height(rate) or 0.0, percent(rate) if rate else "0") for rate in marks],
        dates=[(min(points[place].x, _RIGHT - _HALF_DATE), nights[place].night[5:]) for place in dated],
    )


def _join(points: Sequence[RescoredPoint], height: Callable[[RescoredPoint], float | None]) -> list[str]:
    pieces = [list(piece) for has_rate, piece in groupby(points, lambda point: height(point) is not None) if has_rate]
    return [" ".join(f"{point.x},{height(point)}" for point in piece) for piece in pieces if len(piece) > 1]
