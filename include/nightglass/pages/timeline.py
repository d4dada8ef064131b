"""The chart of which version was champion on which nights, placed for the template: nights, their rates, changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from nightglass.night.report.figures import percent
from nightglass.store import Event, NightRow, PromotionEvent

WIDTH, HEIGHT = 1000, 262
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 994.0, 40.0, 196.0
_MOST_DATES = 9
_HALF_DATE = 18.0
_LABEL_WIDTH, _NUMBER_WIDTH = 76.0, 20.0
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)


@dataclass(frozen=True)
class Point:
    """A night; one that was held before it was scored stands on the ground."""

    x: float
    y: float
    night: NightRow


@dataclass(frozen=True)
class Reign:
    """Nights in a row that the same version judged; ``label`` is empty where it has no room."""

    x: float
    width: float
    version: str
    label: str
    nights: int
    is_odd: bool

    @property
    def middle(self) -> float:
        """Where its label stands."""
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True)
class Change:
    """Changes of the champion between two nights, the oldest first."""

    x: float
    events: Sequence[PromotionEvent]

    @property
    def kinds(self) -> set[Event]:
        """What there was among them."""
        return {event.event for event in self.events}


@dataclass(frozen=True)
class Timeline:
    """Everything of the chart, oldest night first; ``rates`` and ``dates`` are marks as ``(place, text)``."""

    points: Sequence[Point]
    lines: Sequence[str]
    reigns: Sequence[Reign]
    changes: Sequence[Change]
    rates: Sequence[tuple[float, str]]
    dates: Sequence[tuple[float, str]]


def draw_timeline(nights: Sequence[NightRow], history: Sequence[PromotionEvent]) -> Timeline:
    """Place nights and changes.

    Args:
        nights: Oldest first, at least one.
        history: The promotion log, newest first.
    """
    step = (_RIGHT - _LEFT) / len(nights)
    rate_step = find_step(max(night.anomaly_rate or 0.0 for night in nights))
    highest = rate_step * max(1, -(-max(night.anomaly_rate or 0.0 for night in nights) // rate_step))

    def height(rate: float) -> float:
        return round(_BOTTOM - rate / highest * (_BOTTOM - _TOP), 1)

    points = [
        Point(round(_LEFT + (place + 0.5) * step, 1), height(night.anomaly_rate or 0.0), night)
        for place, night in enumerate(nights)
    ]
    marks = [number * rate_step for number in range(round(highest / rate_step) + 1)]
    every = -(-len(nights) // _MOST_DATES)
    dated = list(range(len(nights) - 1, -1, -every))[::-1]
    return Timeline(
        points=points,
        lines=_join(points),
        reigns=_find_reigns(nights, step),
        changes=_place_changes(nights, history, step),
        rates=[(height(rate), percent(rate) if rate else "0") for rate in marks],
        dates=[(min(points[place].x, _RIGHT - _HALF_DATE), nights[place].night[5:]) for place in dated],
    )


def find_step(highest: float) -> float:
    """Return a round distance of at most four marks up to the highest rate."""
    return next((step for step in _STEPS if highest <= 4 * step), _STEPS[-1])


def _join(points: Sequence[Point]) -> list[str]:
    pieces = [
        list(piece)
        for has_rate, piece in groupby(points, lambda point: point.night.anomaly_rate is not None)
        if has_rate
    ]
    return [" ".join(f"{point.x},{point.y}" for point in piece) for piece in pieces if len(piece) > 1]


def _find_reigns(nights: Sequence[NightRow], step: float) -> list[Reign]:
    reigns: list[Reign] = []
    place = 0
    for version, group in groupby(nights, lambda night: night.model_version):
        number = len(list(group))
        width = number * step
        label = f"version {version}" if width >= _LABEL_WIDTH else version if width >= _NUMBER_WIDTH else ""
        x = round(_LEFT + place * step, 1)
        reigns.append(Reign(x, round(width, 1), version, label, number, is_odd=len(reigns) % 2 == 1))
        place += number
    return reigns


def _place_changes(nights: Sequence[NightRow], history: Sequence[PromotionEvent], step: float) -> list[Change]:
    """Put every change after the last night that was published before it; those before the first night are left out.

    A night's date does not say when it was judged: one of last year may be scored today.
    """
    placed: dict[int, list[PromotionEvent]] = {}
    for event in reversed(history):
        before = [place for place, night in enumerate(nights, start=1) if night.published_at <= event.at]
        if before:
            placed.setdefault(before[-1], []).append(event)
    return [Change(round(_LEFT + place * step, 1), events) for place, events in sorted(placed.items())]
