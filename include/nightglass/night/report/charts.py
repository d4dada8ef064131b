"""Charts of one night: how its scores lie, and how each statistic moved."""

from itertools import pairwise
from typing import TYPE_CHECKING

from markupsafe import Markup

from nightglass.night.report.figures import count, figure, mark, percent
from nightglass.night.report.svg import (
    ANOMALOUS,
    GRID,
    INK,
    LIMIT,
    NIGHT,
    REFERENCE,
    drawing,
    to_svg,
)
from nightglass.records import Histogram, StatisticDrift

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Counts further apart than this are drawn on a logarithmic axis, so that a single outlier stays visible.
_LOGARITHMIC_FROM = 50
# The edges around a value that never varies lie this close to it.
_ZERO = 1e-9


def draw_histogram(histogram: Histogram, threshold: float) -> Markup:
    """Draw the image scores; bars at and above the threshold have the colour of anomalies."""
    filled = [number for number in histogram.counts if number]
    is_logarithmic = bool(filled) and max(filled) / min(filled) >= _LOGARITHMIC_FROM
    with drawing("scores", 420, 235) as (chart, axes):
        _draw_bars(axes, histogram, threshold)
        if is_logarithmic:
            axes.set_yscale("log")
            axes.set_ylim(0.6, max(filled) * 2.2)
        else:
            axes.set_ylim(0, max(filled, default=1) * 1.12)
            axes.locator_params(axis="y", integer=True)
        axes.yaxis.set_major_formatter(lambda value, _: count(round(value)) if value >= 1 else "")
        axes.minorticks_off()
        axes.grid(axis="y")
        axes.axvline(threshold, color=LIMIT, linewidth=1.4, dashes=(4, 3))
        _label_threshold(axes, threshold)
        axes.set_xlabel("image score")
        axes.set_ylabel("images, logarithmic" if is_logarithmic else "images")
        return to_svg(
            chart,
            name="scores",
            title="Histogram of the image scores",
            description=f"{count(sum(filled))} images between {figure(histogram.edges[0])} and "
            f"{figure(histogram.edges[-1])}; the threshold is {figure(threshold)}.",
        )


def _draw_bars(axes: "Axes", histogram: Histogram, threshold: float) -> None:
    for (left, right), number in zip(pairwise(histogram.edges), histogram.counts, strict=True):
        gap = (right - left) * 0.08
        split = min(max(threshold, left), right)  # a bin that holds the threshold changes colour there
        for start, end, colour in ((left, split, NIGHT), (split, right, ANOMALOUS)):
            if number and end > start:
                axes.bar(start, number, width=max(end - start - gap, gap), align="edge", color=colour, linewidth=0)


def _label_threshold(axes: "Axes", threshold: float) -> None:
    low, high = axes.get_xlim()
    is_right = threshold > low + (high - low) * 0.6
    axes.annotate(
        f"threshold {figure(threshold)}",
        (threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if is_right else 6, -4),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="top",
        color=INK,
        fontweight="bold",
    )


def draw_shares(statistic: StatisticDrift, name: str) -> Markup:
    """Draw the share of images in each bin: the reference as wide bars, tonight as narrow ones over them."""
    bins = range(len(statistic.reference_share))
    with drawing(name, 330, 150) as (chart, axes):
        axes.bar(bins, statistic.reference_share, width=0.86, color=REFERENCE, linewidth=0)
        axes.bar(bins, statistic.night_share, width=0.42, color=NIGHT, linewidth=0)
        axes.grid(axis="y")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value * 100:.0f}%")
        axes.locator_params(axis="y", nbins=4)
        edges = statistic.bin_edges
        # The outer bins are open-ended, so ticks stand only between bins, and only as many as can be read.
        places = sorted({0, len(edges) // 2, len(edges) - 1}) if edges else []
        labels = [mark(edges[place] if abs(edges[place]) > _ZERO else 0.0) for place in places]
        positions = [place + 0.5 for place in places]
        if len(set(labels)) == 1:  # a statistic that never varies: every edge is the same number
            positions, labels = [sum(positions) / len(positions)], labels[:1]
        axes.set_xticks(positions, labels)
        axes.tick_params(axis="x", length=3, color=GRID)
        axes.set_xlim(-0.6, len(bins) - 0.4)
        return to_svg(
            chart,
            name=name,
            title="Share of the images in each bin, reference against tonight",
            description=f"Lowest bin: {percent(statistic.reference_share[0])} of the reference, "
            f"{percent(statistic.night_share[0])} of tonight. Highest bin: "
            f"{percent(statistic.reference_share[-1])} and {percent(statistic.night_share[-1])}.",
        )
