"""The numbers of a gate as people read them, each in its own unit."""

from nightglass.night.report.figures import NOTHING, count
from nightglass.night.report.figures import figure as rounded
from nightglass.night.wording import percent
from nightglass.retraining.records import Gate
from nightglass.retraining.wording import figure, interval

_UNITS = {"latency": "ms", "memory": "MB", "size": "MB", "cold_start": "s"}
_RATES = frozenset({"detection", "false_alarms", "shadow"})
_AT_MOST = frozenset({"false_alarms", *_UNITS})


def gate_value(gate: Gate, value: float | None) -> str:
    """Return a measured value of ``gate``: ``0.912``, ``2.4 %``, ``31.0 ms``; a dash where there is none."""
    if value is None:
        return NOTHING
    if gate.name == "training":
        return count(round(value))
    if gate.name in _RATES:
        return percent(value)
    return f"{rounded(value)} {_UNITS[gate.name]}" if gate.name in _UNITS else figure(value)


def gate_limit(gate: Gate) -> str:
    """Return what the challenger's value is held against: ``≥ 0.892``; a dash where there is no limit."""
    if gate.limit is None:
        return NOTHING
    sign = "\u2264" if gate.name in _AT_MOST else "\u2265"
    return f"{sign} {gate_value(gate, gate.limit)}"


def gate_interval(gate: Gate, confidence: float) -> str:
    """Return the interval of the difference, empty where there is none."""
    return "" if gate.low is None or gate.high is None else interval(gate.low, gate.high, confidence)
