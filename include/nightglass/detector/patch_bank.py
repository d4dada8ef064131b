"""The patch memory bank: what places of good images look like, for the patch-level score and the anomaly maps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from nightglass.detector.memory_bank import Standardization, floor_spread

Floats = NDArray[np.float32]
_TOP_SHARE = 0.05  # of an image's places that make up its patch-level distance
_SEARCHED_SHARE = 0.15  # of an image's places that are looked at closely for it
_DENSITY_POWER = 0.3  # of the spread; chosen with the other numbers here by measurement, docs/performance.md
_CANDIDATES = 3
_SPREAD_NEIGHBORS = 3
_FEW_PLACES = 2000
_PLACES_PER_LIST = 80
_LISTS_SEARCHED = 2
_NOT_FOUND = 1e18


@dataclass(frozen=True)
class PatchSample:
    """Places ``(P, C)`` of good images; ``owners (P,)`` is the number of the image that each comes from."""

    places: Floats
    owners: NDArray[np.int64]


@dataclass(frozen=True)
class PatchBank:
    """Places of good images in FAISS, with the density-scaled distance of `MemoryBank` in a weaker form.

    ``spread (P,)`` is each place's mean distance to its neighbours in the bank; ``usual_distance`` is what a place of
    a good image hardly ever reaches.
    """

    standardization: Standardization
    index: Any  # a faiss.Index; faiss has no complete types
    spread: Floats
    usual_distance: float

    def anomaly_maps(self, patches: Floats) -> Floats:
        """Return maps ``(N, h, w)`` of patches ``(N, C, h, w)``; 1 is as unusual as good images hardly ever get."""
        return np.asarray(self.distances(patches) / self.usual_distance)

    def distances(self, patches: Floats) -> Floats:
        """Return the distance ``(N, h, w)`` of every place of ``patches (N, C, h, w)`` to its nearest good place."""
        squared, rows = self.index.search(self._rows(patches).reshape(-1, patches.shape[1]), _CANDIDATES)
        count, _, height, width = patches.shape
        return self._scale(squared, rows).reshape(count, height, width)

    def image_distances(self, patches: Floats) -> Floats:
        """Return the patch-level distance ``(N,)`` of ``patches (N, C, h, w)``: the mean of the most unusual 5 %."""
        unusual = self._unusual_rows(patches)
        count, searched, channels = unusual.shape
        squared, rows = self.index.search(unusual.reshape(-1, channels), _CANDIDATES)
        return mean_of_largest(self._scale(squared, rows).reshape(count, searched), patches[0, 0].size)

    def held_out_distances(self, patches: Floats, bank_owners: NDArray[np.int64], owner: int) -> Floats:
        """Return the distances ``(S,)`` of the unusual places ``(C, h, w)`` of image ``owner`` to the other images'."""
        own = int((bank_owners == owner).sum())
        candidates = min(own + _CANDIDATES, self.index.ntotal)
        squared, rows = self.index.search(self._unusual_rows(patches[None])[0], candidates)
        # From here on as for a new image: as many lists, as many candidates, or held-out images would look too usual.
        squared = np.where((bank_owners[rows] == owner) | (rows < 0), np.inf, squared)
        nearest = np.argsort(squared, axis=1, kind="stable")[:, :_CANDIDATES]
        return self._scale(np.take_along_axis(squared, nearest, 1), np.take_along_axis(rows, nearest, 1))

    def _unusual_rows(self, patches: Floats) -> Floats:
        """Return the 15 % of each image's places ``(N, S, C)`` that are farthest from the centres of all lists.

        The most unusual places are hardly ever among the others, and finding these costs a few distances a place.
        """
        places = self._rows(patches)
        count, total, channels = places.shape
        if not hasattr(self.index, "quantizer"):
            return places
        coarse, _ = self.index.quantizer.search(places.reshape(-1, channels), 1)
        kept = math.ceil(total * _SEARCHED_SHARE)
        picked = np.argpartition(coarse.reshape(count, total), total - kept, axis=1)[:, total - kept :]
        return np.take_along_axis(places, picked[:, :, None], 1)

    def _scale(self, squared: Floats, rows: NDArray[np.int64]) -> Floats:
        """Return the smallest scaled distance ``(Q,)`` of candidates ``(Q, k)``; row -1 is "none found"."""
        scaled = np.sqrt(np.maximum(squared, 0)) / self.spread[rows] ** _DENSITY_POWER
        scaled[rows < 0] = np.inf
        # With a bank too small to hold another image's place near this one, the farthest known distance stands in.
        best = scaled.min(axis=1)
        known = best[np.isfinite(best)]
        return np.asarray(np.where(np.isfinite(best), best, known.max(initial=0.0)), dtype=np.float32)

    def _rows(self, patches: Floats) -> Floats:
        """Return the standardized places ``(N, P, C)``."""
        count, channels, height, width = patches.shape
        return self.standardization.apply(patches.reshape(count, channels, height * width).transpose(0, 2, 1))


def mean_of_largest(distances: Floats, places: int) -> Floats:
    """Return the mean ``(N,)`` of the largest of ``distances (N, S)``, as many as are 5 % of ``places``."""
    count = max(1, int(places * _TOP_SHARE))
    kept = distances.shape[1] - count
    return np.asarray(np.partition(distances, kept, axis=1)[:, kept:].mean(axis=1))


def build_patch_bank(
    sample: PatchSample, size: int, held_out: Mapping[int, NDArray[np.float16]], false_alarm_rate: float, seed: int
) -> tuple[PatchBank, Floats]:
    """Build a bank of ``size`` places and measure good images against the places of the others.

    A large random choice searched approximately beats a small coreset at the same cost (docs/performance.md).

    Args:
        sample: Places to choose from.
        size: How many the bank keeps.
        held_out: Patches ``(C, h, w)`` of good images by their number.
        false_alarm_rate: Share of good images whose most unusual place may lie above 1 in an anomaly map.
        seed: Of the choice.

    Returns:
        The bank, and the patch-level distance ``(len(held_out),)`` of each held-out image.
    """
    standardization = Standardization.of(sample.places)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(sample.places))[:size])
    places = standardization.apply(sample.places[chosen])
    index = _new_index(places)
    squared, _ = index.search(places, _SPREAD_NEIGHBORS + 1)
    # The first is the place itself; a list of the index may hold fewer than asked for, which FAISS marks by a maximum.
    near = np.sqrt(np.maximum(squared[:, 1:], 0))
    spread = floor_spread(
        np.where(near < _NOT_FOUND, near, 0).sum(axis=1) / np.maximum((near < _NOT_FOUND).sum(axis=1), 1)
    )
    raw = PatchBank(standardization, index, spread, 1.0)
    owners = sample.owners[chosen]
    distances = np.stack(
        [raw.held_out_distances(patches.astype(np.float32), owners, owner) for owner, patches in held_out.items()]
    )
    usual = float(np.quantile(distances.max(axis=1), 1 - false_alarm_rate, method="higher"))
    places_per_image = next(iter(held_out.values()))[0].size
    return PatchBank(standardization, index, spread, max(usual, 1e-6)), mean_of_largest(distances, places_per_image)


def _new_index(places: Floats) -> Any:  # noqa: ANN401
    """Index ``places (P, C)``: exactly when they are few, else in lists of which the nearest few are searched."""
    count, channels = places.shape
    lists = f"IVF{count // _PLACES_PER_LIST}," if count >= _FEW_PLACES else ""
    index: Any = faiss.index_factory(channels, f"{lists}Flat")
    if lists:
        index.nprobe = _LISTS_SEARCHED
    index.train(places)
    index.add(places)
    return index
