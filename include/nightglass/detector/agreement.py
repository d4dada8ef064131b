"""How alike two forms of one network rank images: the check that a quantised network must pass to be kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightglass.collections import DetectorOptions
from nightglass.detector.backends import Backend, Embedded, Images
from nightglass.detector.calibration import calibrate
from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.patch_bank import PatchSample, build_patch_bank

#: Least rank correlation of image scores, chosen by measurement: docs/adr/0008-int8-by-default.md.
MIN_AGREEMENT = 0.99
#: Good images that the check looks at.
CHECKED_IMAGES = 200
_DEFECTS = 100
_BATCH = 8


@dataclass(frozen=True)
class CheckImages:
    """Images ``(N, S, S, 3)`` uint8 RGB: ``bank`` to compare with, ``queries`` to score, good and defect."""

    bank: Images
    queries: Images

    @classmethod
    def draw(cls, images: Images, seed: int) -> "CheckImages":
        """Divide good ``images`` in two, and add drawn defects to the half that is scored."""
        half = len(images) // 2
        random = np.random.default_rng(seed)
        defects = [draw_defect(images[half + i % (len(images) - half)], images, random) for i in range(_DEFECTS)]
        return cls(images[:half], np.concatenate([images[half:], np.stack(defects)]))


def draw_defect(image: Images, others: Images, random: np.random.Generator) -> Images:
    """Return ``image (S, S, 3)`` with one defect: a patch of another image, a patch or a thin scar of other brightness.

    The shapes and sizes are those of CutPaste (Li et al. 2021).
    """
    side = image.shape[0]
    area, ratio = random.uniform(0.02, 0.15) * side**2, np.exp(random.uniform(np.log(0.3), np.log(3.3)))
    height, width = np.sqrt(area / ratio), np.sqrt(area * ratio)
    kind = random.choice(["paste", "patch", "scar"])
    if kind == "scar":
        height, width = random.permutation([random.uniform(2, side / 24 + 2), random.uniform(side / 10, side / 3)])
    height, width = max(1, int(height)), max(1, int(width))
    top, left, from_top, from_left = random.integers(0, np.tile([side - height, side - width], 2))
    defect = image.copy()
    place = defect[top : top + height, left : left + width]
    if kind == "paste":
        other = others[random.integers(len(others))]
        place[:] = other[from_top : from_top + height, from_left : from_left + width]
    else:
        place[:] = np.clip(place + random.choice([-1, 1]) * random.uniform(15, 120), 0, 255)
    return defect


def measure_agreement(
    reference: Backend, candidate: Backend, images: CheckImages, options: DetectorOptions, workers: int
) -> float:
    """Return Spearman's rank correlation of the image scores that detectors fitted on two networks give."""
    from scipy.stats import spearmanr

    expected, found = (score_queries(backend, images, options, workers) for backend in (reference, candidate))
    correlation = float(spearmanr(expected, found).statistic)
    return correlation if np.isfinite(correlation) else 0.0  # of scores that are all the same there is none


def score_queries(backend: Backend, images: CheckImages, options: DetectorOptions, workers: int) -> NDArray[np.float64]:
    """Fit on the bank's images and return the image scores ``(N,)`` of the queries."""
    bank, queries = (_embed(backend, part, workers) for part in (images.bank, images.queries))
    standardization = Standardization.of(bank.embedding)
    memory = MemoryBank.build(standardization.apply(bank.embedding))
    count, channels, height, width = bank.patches.shape
    patch_bank, patch_distances = build_patch_bank(
        PatchSample(
            bank.patches.transpose(0, 2, 3, 1).reshape(-1, channels), np.repeat(np.arange(count), height * width)
        ),
        options.patch_bank_size,
        {number: patches.astype(np.float16) for number, patches in enumerate(bank.patches)},
        options.false_alarm_rate,
        options.seed,
    )
    usual = memory.search_others(options.num_neighbors).mean(axis=1)
    calibration = calibrate(usual, patch_distances, options.false_alarm_rate)
    distances, _ = memory.search(standardization.apply(queries.embedding), options.num_neighbors)
    return calibration.score(distances.mean(axis=1), patch_bank.image_distances(queries.patches))


def _embed(backend: Backend, images: Images, workers: int) -> Embedded:
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    with ThreadPoolExecutor(workers, thread_name_prefix="check") as pool:
        done = list(pool.map(backend.embed, batches))
    return Embedded(np.concatenate([e.embedding for e in done]), np.concatenate([e.patches for e in done]))
