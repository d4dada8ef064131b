"""How the numbers of a proof read in its sentences."""

from nightglass.night.report.figures import count
from nightglass.retraining.records import FalseAlarms, Paired

_MINUS = "\u2212"


def figure(value: float) -> str:
    """Return a figure between 0 and 1 such as an AUROC: ``0.912``."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """Return a difference with its sign: ``+0.021``; one that rounds to nothing has none: ``0.000``."""
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else _MINUS}{text}"


def change(pair: Paired) -> str:
    """Return ``0.912 → 0.941 (+0.029)``."""
    return f"{figure(pair.champion)} → {figure(pair.challenger)} ({signed(pair.difference)})"


def interval(low: float, high: float, confidence: float) -> str:
    """Return ``95 % interval +0.011 to +0.048``."""
    return f"{confidence * 100:g} % interval {signed(low)} to {signed(high)}"


def alarms(counted: FalseAlarms) -> str:
    """Return ``4 → 2 of 300 good images``."""
    images = "good image" if counted.images == 1 else "good images"
    return f"{count(counted.champion)} → {count(counted.challenger)} of {count(counted.images)} {images}"
