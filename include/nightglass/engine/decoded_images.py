"""Decode a chosen few images to the network's size, all of them in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nightglass.collections import Collection
from nightglass.detector.backends import Images
from nightglass.images.decoding import decode_rgb, let_limits_decide
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import ImageRow, check_unchanged, limits_of, read_image
from nightglass.storage import Folder, Folders


def decode_images(
    images: Folder | Folders, rows: Sequence[ImageRow], collection: Collection, workers: int
) -> tuple[Images, list[ImageRow]]:
    """Decode ``rows`` to RGB ``(N, S, S, 3)`` and return which these are; those that cannot be decoded are left out."""
    let_limits_decide()
    limits, size = limits_of(collection.scoring), collection.detector.backbone.image_size

    def decode(row: ImageRow) -> Images | None:
        try:
            data = read_image(images, row.name_on_disk, collection.scoring.max_file_bytes)
            check_unchanged(data, row)
            return decode_rgb(data, row.name_on_disk, limits, size)
        except QuarantinedError:
            return None  # the pass over all images tells it

    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        decoded = [(image, row) for image, row in zip(pool.map(decode, rows), rows, strict=True) if image is not None]
    if not decoded:
        return np.empty((0, size, size, 3), np.uint8), []
    return np.stack([image for image, _ in decoded]), [row for _, row in decoded]
