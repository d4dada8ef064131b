"""What fine-tuning learns from: training images in memory, those held out, and batches with drawn defects."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightglass.detector.agreement import draw_defect
from nightglass.detector.backends import Backend, Images

Floats = NDArray[np.float32]
_HELD_OUT_SHARE = 0.2
_HELD_OUT_LABELS_SHARE = 0.25
_LEAST_HELD_OUT_DEFECTS = 5  # fewer measure nothing: then all labelled ones are learned from
_AT_ONCE = 32


@dataclass(frozen=True)
class TuningImages:
    """Good and labelled images ``(N, S, S, 3)`` uint8 RGB, divided into what is learned from and what is held out."""

    good: Images
    defects: Images
    held_out_good: Images
    held_out_drawn: Images
    held_out_defects: Images
    learned_from: frozenset[str]  # sha256 of the good ones that are not held out

    @classmethod
    def divide(cls, good: Images, defects: Images, contents: Sequence[str], seed: int) -> "TuningImages":
        """Hold out a fifth of the good images, the same with drawn defects, and a quarter of the labelled ones.

        Where that is fewer than five, no labelled one is held out. ``contents`` has the sha256 of each good image.
        """
        random = np.random.default_rng(seed)
        out = random.permutation(len(good)) < round(_HELD_OUT_SHARE * len(good))
        count = round(_HELD_OUT_LABELS_SHARE * len(defects))
        out_defects = random.permutation(len(defects)) < (count if count >= _LEAST_HELD_OUT_DEFECTS else 0)
        drawn = [draw_defect(image, good, random) for image in good[out]]
        learned_from = frozenset(sha256 for sha256, is_out in zip(contents, out, strict=True) if not is_out)
        return cls(good[~out], defects[~out_defects], good[out], np.stack(drawn), defects[out_defects], learned_from)


@dataclass(frozen=True)
class TuningBatch:
    """The tail's input ``(N, C, h, w)`` and ``kinds (N,)``: `GOOD`, `DRAWN` or `LABELLED`."""

    maps: Floats
    kinds: NDArray[np.int64]


GOOD, DRAWN, LABELLED = 0, 1, 2


def make_batches(
    images: TuningImages, trunk: Backend, batch_images: int, random: np.random.Generator
) -> Iterator[TuningBatch]:
    """Yield the batches of one epoch: each good image once, with half as many drawn and as many labelled defects.

    The next batch is made while the caller works on one. All are mirrored at random, in one thread, so that the same
    generator always gives the same batches.
    """
    order = random.permutation(len(images.good))
    rows = [order[start : start + batch_images] for start in range(0, len(order), batch_images)]
    with ThreadPoolExecutor(1, thread_name_prefix="batch") as pool:
        coming = pool.submit(_make_batch, images, trunk, rows[0], random)
        for following in [*rows[1:], None]:
            batch = coming.result()
            if following is not None:
                coming = pool.submit(_make_batch, images, trunk, following, random)
            yield batch


def _make_batch(
    images: TuningImages, trunk: Backend, rows: NDArray[np.int64], random: np.random.Generator
) -> TuningBatch:
    half = max(1, len(rows) // 2)
    sources = images.good[random.integers(len(images.good), size=half)]
    drawn = np.stack([draw_defect(image, images.good, random) for image in sources])
    labelled = images.defects[random.permutation(len(images.defects))[:half]]
    pixels = np.concatenate([images.good[rows], drawn, labelled])
    kinds = np.repeat([GOOD, DRAWN, LABELLED], [len(rows), len(drawn), len(labelled)])
    for axis in (1, 2):
        mirrored = random.random(len(pixels)) < 0.5
        pixels[mirrored] = np.flip(pixels[mirrored], axis)
    return TuningBatch(trunk.embed(pixels).patches, kinds)


def embed_maps(images: Images, trunk: Backend) -> Floats:
    """Return the tail's input ``(N, C, h, w)`` for images that stay as they are; there is at least one."""
    first = trunk.embed(images[:1]).patches
    maps = np.empty((len(images), *first.shape[1:]), np.float32)
    for start in range(0, len(images), _AT_ONCE):
        maps[start : start + _AT_ONCE] = trunk.embed(images[start : start + _AT_ONCE]).patches
    return maps
