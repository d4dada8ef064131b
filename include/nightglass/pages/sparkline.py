"""A small chart of the last nights' anomaly rates, drawn by the template."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightglass.records import Verb
from nightglass.store import NightRow

WIDTH, HEIGHT = 240, 48
_EDGE = 5.0


@dataclass(frozen=True)
class Dot:
    """A night's place in the chart; nights without a rate stand on the ground."""

    x: float
    y: float
    night: str
    rate: float | None
    decision: Verb


@dataclass(frozen=True)
class Sparkline:
    """Dots, oldest first, and the pieces of the line between nights that have a rate."""

    dots: Sequence[Dot]
    lines: Sequence[str]
    highest: float


def draw_rates(nights: Sequence[NightRow]) -> Sparkline:
    """Place the anomaly rates of ``nights``, oldest first, from 0 at the bottom to the highest at the top."""
    highest = max((night.anomaly_rate or 0.0 for night in nights), default=0.0)
    step = (WIDTH - 2 * _EDGE) / max(1, len(nights) - 1)
    dots = []
    for place, night in enumerate(nights):
        share = (night.anomaly_rate or 0.0) / highest if highest else 0.0
        y = HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE)
        dots.append(Dot(round(_EDGE + place * step, 1), round(y, 1), night.night, night.anomaly_rate, night.decision))
    return Sparkline(dots, _join(dots), highest)


def _join(dots: Sequence[Dot]) -> list[str]:
    pieces: list[list[Dot]] = [[]]
    for dot in dots:
        if dot.rate is None:
            pieces.append([])
        else:
            pieces[-1].append(dot)
    return [" ".join(f"{dot.x},{dot.y}" for dot in piece) for piece in pieces if len(piece) > 1]
