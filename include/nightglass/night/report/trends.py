"""Charts over the last nights: anomaly rate and drift, with the nights on which the model changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from markupsafe import Markup

from nightglass.night.report.figures import figure, mark, percent
from nightglass.night.report.names import plain
from nightglass.night.report.svg import (
    HOLD,
    INK,
    LIMIT,
    MUTED,
    NIGHT,
    OK,
    RETRAIN,
    SURFACE,
    WATCH,
    drawing,
    to_svg,
)
from nightglass.records import Assessment, NightSummary, Verb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_NIGHTS = 30
_MIN_NIGHTS = 2
# Each decision has its own shape, so that it is told apart without colour.
_MARKS = {
    Verb.OK: ("o", OK, 6.5),
    Verb.WATCH: ("D", WATCH, 7.0),
    Verb.RETRAIN: ("^", RETRAIN, 9.0),
    Verb.HOLD: ("X", HOLD, 8.0),
}


@dataclass(frozen=True)
class Chart:
    """A drawn chart, its heading and what is usual."""

    heading: str
    usual: str
    svg: Markup


@dataclass(frozen=True)
class Trends:
    """The last nights, oldest first and tonight last, as charts and as rows of a table."""

    charts: Sequence[Chart]
    nights: Sequence[NightSummary]
    verbs: Sequence[Verb]


def build_trends(assessment: Assessment, trend: Sequence[NightSummary]) -> Trends | None:
    """Draw the nights before ``assessment`` and itself; ``None`` while there is nothing to compare with."""
    tonight = summarize(assessment)
    earlier = sorted((night for night in trend if night.night < tonight.night), key=lambda night: night.night)
    nights = [*earlier, tonight][-MAX_NIGHTS:]
    if len(nights) < _MIN_NIGHTS:
        return None
    base = assessment.baseline
    usual_psi = max(base.statistic_psi.values(), default=None)
    plots: list[tuple[str, str, list[float | None], float | None, Callable[[float | None], str]]] = [
        ("rate", "Anomaly rate", [night.anomaly_rate for night in nights], base.anomaly_rate, percent),
        ("psi", "Drift: largest PSI", [largest_psi(night.statistic_psi) for night in nights], usual_psi, figure),
        ("embedding", "Drift: separability", [night.separability for night in nights], base.separability, figure),
    ]
    charts = [
        Chart(heading, show(usual), _draw(nights, values, name=name, heading=heading, usual=usual, show=show))
        for name, heading, values, usual, show in plots
        if any(value is not None for value in values)
    ]
    return Trends(charts, nights, [verb for verb in Verb if any(night.decision == verb for night in nights)])


def summarize(assessment: Assessment) -> NightSummary:
    """Return the row of the ``nights`` view that belongs to this assessment."""
    embedding = assessment.drift.embedding
    return NightSummary(
        collection=assessment.collection,
        night=assessment.night,
        model_version=assessment.model_version,
        scored=assessment.scored,
        anomalous=assessment.anomalous,
        quarantined=assessment.quarantined,
        anomaly_rate=assessment.anomaly_rate if assessment.scored else None,
        decision=assessment.decision.verb,
        statistic_psi={statistic.name: statistic.psi for statistic in assessment.drift.statistics},
        separability=embedding.separability if embedding else None,
    )


def largest_psi(statistic_psi: Mapping[str, float]) -> float | None:
    """Return the largest PSI of a night's statistics, if it has any."""
    return max(statistic_psi.values(), default=None)


def _draw(
    nights: Sequence[NightSummary],
    values: Sequence[float | None],
    *,
    name: str,
    heading: str,
    usual: float | None,
    show: Callable[[float | None], str],
) -> Markup:
    show_mark = percent if show is percent else mark
    known = [value for value in (*values, usual) if value is not None]
    with drawing(f"trend-{name}", 360, 205) as (chart, axes):
        axes.set_ylim(0, (max(known) or 0.01) * 1.3)
        axes.set_xlim(-0.5, len(nights) - 0.5 + 0.35)
        axes.grid(axis="y")
        if usual is not None:
            axes.axhline(usual, color=MUTED, linewidth=1.1, dashes=(4, 3))
        gaps = [float("nan") if value is None else value for value in values]
        axes.plot(range(len(nights)), gaps, color=NIGHT, linewidth=1.8, zorder=2)
        _mark_nights(axes, nights, values)
        _mark_models(axes, nights)
        if values[-1] is not None:
            axes.annotate(
                show(values[-1]),
                (len(nights) - 1, values[-1]),
                xytext=(0, 8),
                color=INK,
                textcoords="offset points",
                ha="center",
                fontweight="bold",
            )
        axes.yaxis.set_major_formatter(lambda value, _: show_mark(value) if value else "0")
        axes.locator_params(axis="y", nbins=5)
        _label_nights(axes, nights)
        return to_svg(
            chart,
            name=f"trend-{name}",
            title=f"{heading} of the last {len(nights)} nights",
            description=f"From {plain(nights[0].night)} to {plain(nights[-1].night)}; tonight "
            f"{show(values[-1])}, usual {show(usual)}.",
        )


def _mark_nights(axes: "Axes", nights: Sequence[NightSummary], values: Sequence[float | None]) -> None:
    for index, (night, value) in enumerate(zip(nights, values, strict=True)):
        marker, colour, size = _MARKS[night.decision]
        # A night that was held before scoring has no value: its mark stands on the axis.
        axes.plot(
            [index],
            [value or 0],
            marker=marker,
            markersize=size,
            markerfacecolor=colour,
            markeredgecolor=SURFACE,
            markeredgewidth=1,
            linestyle="none",
            zorder=3,
            clip_on=False,
        )


def _mark_models(axes: "Axes", nights: Sequence[NightSummary]) -> None:
    for index, (before, night) in enumerate(pairwise(nights), start=1):
        if before.model_version != night.model_version:
            axes.axvline(index - 0.5, color=LIMIT, linewidth=1, dashes=(1, 2))
            axes.annotate(
                f"model {plain(night.model_version, 12)}",
                (index - 0.5, 1),
                xytext=(3, -3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="top",
                color=LIMIT,
            )


def _label_nights(axes: "Axes", nights: Sequence[NightSummary]) -> None:
    step = -(-len(nights) // 5)
    marks = list(range(len(nights) - 1, -1, -step))
    axes.set_xticks(marks, [_short_night(nights[mark].night) for mark in marks])


def _short_night(night: str) -> str:
    """Return month and day of ``YYYY-MM-DD``."""
    return plain(night.partition("-")[2] or night, 10)
