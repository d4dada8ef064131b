"""Defects drawn into good frozen images: what a model is measured on where analysts have called few."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nightglass.detector.agreement import draw_defect
from nightglass.detector.backends import Images
from nightglass.retraining.frozen import FrozenImages

_MOST_IMAGES = 1000
_MOST_BYTES = 256 * 1024 * 1024  # of their pixels, which are held in memory
_EACH_SLICE = 30  # images of each slice come first, so that a small slice is measured too
_SEED = 0


@dataclass(frozen=True)
class DrawnImages:
    """Good images ``(N, S, S, 3)`` uint8 RGB, and each of them with one drawn defect."""

    good: Images
    defects: Images

    @classmethod
    def draw(cls, good: Images) -> "DrawnImages":
        """Draw a defect into each of ``good``; the same images always get the same defects."""
        random = np.random.default_rng(_SEED)
        return cls(good, np.stack([draw_defect(image, good, random) for image in good]))


def choose_bases(frozen: FrozenImages, image_size: int, most_slices: int) -> NDArray[np.int64]:
    """Return the rows of good images that defects are drawn into, sorted; the same images always give the same rows.

    Args:
        frozen: All frozen images.
        image_size: Side of an image in pixels, which bounds how many are held.
        most_slices: How many slices get their share first.
    """
    count = min(_MOST_IMAGES, _MOST_BYTES // (image_size * image_size * 3))
    good = np.flatnonzero(frozen.is_good)
    # By content and not by place, so that the order of the table changes nothing.
    by_content = good[np.argsort([frozen.rows[row].sha256 for row in good], kind="stable")] if len(good) else good
    shuffled = np.random.default_rng(_SEED).permutation(by_content)
    slices = frozen.find_slices(most_slices).values()
    first = [shuffled[is_member[shuffled]][:_EACH_SLICE] for is_member in slices]
    ordered = np.concatenate([*first, shuffled]).astype(np.int64)
    _, places = np.unique(ordered, return_index=True)
    return np.sort(ordered[np.sort(places)][:count])


def resize(images: Images, size: int) -> Images:
    """Return ``images (N, S, S, 3)`` with another side, or as they are."""
    if images.shape[1] == size:
        return images
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)) for image in images]
    )
