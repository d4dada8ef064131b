"""Small charts of the last nights, drawn by the template: values against what is usual and what is too much."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightglass.records import Verb
from nightglass.store import NightMeasures

WIDTH, HEIGHT = 160, 48
_EDGE = 5.0
_MOST_LIMITS = 3.0  # a night far beyond would press everything else to the ground


@dataclass(frozen=True)
class Dot:
    """A night's place in the chart; nights without a value stand on the ground."""

    x: float
    y: float
    night: str
    value: float | None
    decision: Verb


@dataclass(frozen=True)
class Sparkline:
    """Dots, oldest first, and lines as the points of polylines, in pieces between nights that have no value.

    ``band`` are the points of polygons between what is usual and ``limits``, from which a value is too high.
    """

    dots: Sequence[Dot]
    lines: Sequence[str]
    usual: Sequence[str]
    limits: Sequence[str]
    band: Sequence[str]
    highest: float


def draw_rates(nights: Sequence[NightMeasures], ratio: float) -> Sparkline:
    """Draw the anomaly rates of ``nights``, oldest first, with the baseline of each and ``ratio`` times it."""
    usual = [night.baseline_anomaly_rate for night in nights]
    limits = [None if value is None else value * ratio for value in usual]
    return _draw(nights, [night.anomaly_rate for night in nights], usual, limits)


def draw_drift(nights: Sequence[NightMeasures], floor: float, ratio: float) -> Sparkline:
    """Draw the largest PSI of ``nights``, oldest first, with the baseline of each.

    Too much is ``ratio`` times the baseline, but at least ``floor``; the decision asks so of each statistic alone.
    """
    usual = [night.baseline_psi for night in nights]
    limits = [max(floor, ratio * (value or 0.0)) for value in usual]
    return _draw(nights, [night.psi for night in nights], usual, limits)


def _draw(
    nights: Sequence[NightMeasures],
    values: Sequence[float | None],
    usual: Sequence[float | None],
    limits: Sequence[float | None],
) -> Sparkline:
    """Place every value from 0 at the bottom to the highest of all at the top, or to three times the highest limit."""
    highest = max((value for value in (*values, *usual, *limits) if value is not None), default=0.0)
    if too_much := max((value for value in limits if value is not None), default=0.0):
        highest = min(highest, _MOST_LIMITS * too_much)
    step = (WIDTH - 2 * _EDGE) / max(1, len(nights) - 1)
    across = [round(_EDGE + place * step, 1) for place in range(len(nights))]

    def height(value: float | None) -> float:
        share = min(1.0, (value or 0.0) / highest) if highest else 0.0
        return round(HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE), 1)

    def join(some: Sequence[float | None]) -> list[str]:
        return [" ".join(f"{across[place]},{height(some[place])}" for place in piece) for piece in _pieces(some)]

    both = [None if low is None else high for low, high in zip(usual, limits, strict=True)]
    band = [f"{up} {' '.join(reversed(down.split(' ')))}" for up, down in zip(join(both), join(usual), strict=True)]
    dots = [
        Dot(x, height(value), night.night, value, night.decision)
        for x, value, night in zip(across, values, nights, strict=True)
    ]
    most = max((value for value in values if value is not None), default=0.0)
    return Sparkline(dots, join(values), join(usual), join(limits), band, most)


def _pieces(values: Sequence[float | None]) -> list[list[int]]:
    """Return the places of values that follow each other without a gap, where there are at least two."""
    pieces: list[list[int]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(place)
    return [piece for piece in pieces if len(piece) > 1]
