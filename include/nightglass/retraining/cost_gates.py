"""Gates on what a challenger costs: time, memory, disk, start."""

from nightglass.collection_parts import Gates
from nightglass.night.report.figures import figure, times
from nightglass.retraining.records import Cost, Gate

_LITTLE_SECONDS = 1.0  # a start that takes so much longer is lost in what the machine does beside it


def judge_costs(champion: Cost, challenger: Cost, options: Gates) -> list[Gate]:
    """Return the gates ``latency``, ``memory``, ``size`` and ``cold_start``."""
    return [
        _judge_latency(champion, challenger, options),
        _judge("memory", "Peak memory", champion.peak_rss_mb, challenger.peak_rss_mb, "MB", options.memory_ratio),
        _judge("size", "Size on disk", champion.size_mb, challenger.size_mb, "MB", options.size_ratio),
        _judge_cold_start(champion, challenger, options),
    ]


def _judge_latency(champion: Cost, challenger: Cost, options: Gates) -> Gate:
    """Judge both percentiles; the row shows the one that grew more."""
    pairs = {"p50": (champion.p50_ms, challenger.p50_ms), "p95": (champion.p95_ms, challenger.p95_ms)}
    worse = max(pairs, key=lambda name: _ratio(*pairs[name]))
    gate = _judge("latency", f"Time for one image, {worse}", *pairs[worse], "ms", options.latency_ratio)
    said = ", ".join(f"{name} {figure(before)} → {figure(after)} ms" for name, (before, after) in pairs.items())
    return gate.model_copy(update={"why": f"{said}; {_bound(options.latency_ratio)}"})


def _judge_cold_start(champion: Cost, challenger: Cost, options: Gates) -> Gate:
    before, after = champion.cold_start_seconds, challenger.cold_start_seconds
    title = "Time to the first score"
    gate = _judge("cold_start", title, before, after, "s", options.latency_ratio)
    limit = max(before * options.latency_ratio, before + _LITTLE_SECONDS)
    why = f"{gate.why}, or {_LITTLE_SECONDS:g} s more"
    return gate.model_copy(update={"limit": limit, "passed": after <= limit, "why": why})


def _judge(name: str, title: str, before: float, after: float, unit: str, most: float) -> Gate:
    return Gate(
        name=name,
        title=title,
        champion=before,
        challenger=after,
        low=None,
        high=None,
        limit=before * most,
        passed=after <= before * most,
        why=f"{figure(before)} → {figure(after)} {unit}, {times(_ratio(before, after))}; {_bound(most)}",
    )


def _ratio(before: float, after: float) -> float:
    return after / before if before else float("inf")


def _bound(most: float) -> str:
    return f"at most {most:g}\u00d7 the champion's"
