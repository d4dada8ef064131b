"""Nights drawn from known distributions, as the decision sees them: counts, statistics per bin, an embedding test.

Images are not drawn one by one: of a night of ``n`` images the anomalous ones are binomial and the counts of a
statistic in the reference's bins are multinomial, which is the same thing, at a cost that does not grow with ``n``.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nightglass.collection_limits import Drift
from nightglass.detector.reference import ReferenceStatistic, reference_statistics
from nightglass.images.statistics import STATISTICS
from nightglass.night.embedding_drift import embedding_drift
from nightglass.records import EmbeddingDrift

#: Standard deviation of the brightness of ELPV's good cells, grey levels.
BRIGHTNESS_SPREAD = 20.0
SCORE = "image_score"
#: Aim of the image threshold on good images, the default: this share of the reference lies above it.
_FALSE_ALARM_RATE = 0.01
_DIMENSIONS = 256
_DIRECTIONS = 4  # of the embedding in which a night moves
_HIGHEST_RATE = 0.9

Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Where nights come from while nothing changes.

    ``rate_spread`` is the standard deviation of the logarithm of a night's rate; ``shift_spread`` how far a night's
    statistics lie off the usual, each by itself, in standard deviations of an image.
    """

    images: int
    rate: float
    reference: int = 1131
    rate_spread: float = 0.0
    shift_spread: float = 0.0


@dataclass(frozen=True)
class Change:
    """What happens from night ``start`` (0 is the champion's first) on; growth is per night."""

    start: int = 0
    rate_ratio: float = 1.0
    rate_growth: float = 0.0
    brightness_growth: float = 0.0  # grey levels


@dataclass(frozen=True)
class Nights:
    """Drawn nights, one a row."""

    reference: dict[str, ReferenceStatistic]
    anomalous: Counts
    counts: dict[str, Counts]
    rates: Doubles  # what the anomalous images were drawn with


def draw_nights(world: World, change: Change, nights: int, random: np.random.Generator) -> Nights:
    """Draw a reference and ``nights`` nights: statistics are normal, anomalous images score above the threshold."""
    steps = np.clip(np.arange(nights) - change.start + 1, 0, None)
    rates = world.rate * np.where(steps > 0, change.rate_ratio, 1.0) * (1 + change.rate_growth) ** steps
    noise = random.normal(-(world.rate_spread**2) / 2, world.rate_spread, nights)
    rates = np.minimum(rates * np.exp(noise), _HIGHEST_RATE)
    anomalous = random.binomial(world.images, rates)
    values = {name: random.standard_normal(world.reference) for name in (*STATISTICS, SCORE)}
    reference = reference_statistics(values, Drift().bins)
    counts = {}
    for name in STATISTICS:
        shift = random.normal(0, world.shift_spread, nights)
        if name == "brightness":
            shift += change.brightness_growth * steps / BRIGHTNESS_SPREAD
        cumulative = norm.cdf(np.asarray(reference[name].edges)[None, :] - shift[:, None])
        counts[name] = random.multinomial(world.images, _bin_shares(cumulative))
    counts[SCORE] = _draw_scores(reference[SCORE], world.images, anomalous, random)
    return Nights(reference, anomalous, counts, rates)


def draw_embedding_tests(images: int, shift_spread: float, count: int, seed: int) -> list[EmbeddingDrift]:
    """Run the embedding test on ``count`` nights of normal embeddings against one reference, both bounded samples."""
    random = np.random.default_rng(seed)
    size = Drift().sample_size
    reference = random.standard_normal((size, _DIMENSIONS))
    tests = []
    for _ in range(count):
        night = random.standard_normal((min(images, size), _DIMENSIONS))
        night[:, :_DIRECTIONS] += random.normal(0, shift_spread, _DIRECTIONS)
        tests.append(embedding_drift(reference, night, seed=0))
    return [test for test in tests if test is not None]


def rate_spread_of(share: float) -> float:
    """Return the ``rate_spread`` of nights whose rates differ by ``share`` of their mean (standard deviation)."""
    return math.sqrt(math.log1p(share**2))


def _draw_scores(reference: ReferenceStatistic, images: int, anomalous: Counts, random: np.random.Generator) -> Counts:
    below = norm.cdf(np.asarray(reference.edges)) / (1 - _FALSE_ALARM_RATE)
    good = _bin_shares(np.minimum(below, 1.0)[None, :])
    above = 1 - (1 - norm.cdf(np.asarray(reference.edges))) / _FALSE_ALARM_RATE
    bad = _bin_shares(np.maximum(above, 0.0)[None, :])
    drawn: Counts = random.multinomial(images - anomalous, good) + random.multinomial(anomalous, bad)
    return drawn


def _bin_shares(cumulative: Doubles) -> Doubles:
    """Return the shares ``(N, B)`` of the bins between cumulative shares ``(N, B - 1)``."""
    ends = np.pad(cumulative, ((0, 0), (1, 1)), constant_values=(0.0, 1.0))
    return np.diff(ends, axis=1)
