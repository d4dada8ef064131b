"""Decide what a new detector's network computes in: quantise it, and keep that only where it ranks images alike."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nightglass.collections import Collection, Precision
from nightglass.detector.agreement import CHECKED_IMAGES, MIN_AGREEMENT, CheckImages, measure_agreement
from nightglass.detector.backends import OpenVINOBackend, takes_cuda
from nightglass.detector.quantization import CALIBRATION_IMAGES, quantize_network
from nightglass.engine.decoded_images import decode_images
from nightglass.images.reading import ImageRow
from nightglass.storage import Folder, Folders

_LEAST_IMAGES = 10  # of which the check compares half with the other half


@dataclass(frozen=True)
class ChosenPrecision:
    """What the network computes in, and how well int8 agreed with the unquantised network where that was measured."""

    precision: Precision
    int8_agreement: float | None = None


def choose_precision(
    network: Path, images: Folder | Folders, rows: list[ImageRow], collection: Collection, workers: int
) -> ChosenPrecision:
    """Replace the files of ``network`` by a quantised network if the collection wants that and its ranking stays.

    A fit on CUDA leaves the network as it is: int8 is the CPU's, and it is the fit's own network that is checked.

    Args:
        network: The exported .xml file.
        images: The folder of the images.
        rows: The good images that the detector is fitted on.
        collection: Its detector and reading options.
        workers: Threads.
    """
    options = collection.detector
    if options.precision != "int8":
        return ChosenPrecision(options.precision)
    if takes_cuda(collection.scoring.device):
        return ChosenPrecision("auto")
    picked = np.random.default_rng(options.seed).permutation(len(rows))[:CHECKED_IMAGES]
    decoded, _ = decode_images(images, [rows[i] for i in picked], collection, workers)
    if len(decoded) < _LEAST_IMAGES:
        return ChosenPrecision("auto")
    quantized = network.with_name(f"quantized-{network.name}")
    quantize_network(network, decoded[:CALIBRATION_IMAGES], quantized)
    agreement = measure_agreement(
        OpenVINOBackend(network, workers),
        OpenVINOBackend(quantized, workers, "int8"),
        CheckImages.draw(decoded, options.seed),
        options,
        workers,
    )
    is_kept = agreement >= MIN_AGREEMENT
    for suffix in (".xml", ".bin"):
        written = quantized.with_suffix(suffix)
        if is_kept:
            written.replace(network.with_suffix(suffix))
        else:
            written.unlink()
    return ChosenPrecision("int8" if is_kept else "auto", agreement)
