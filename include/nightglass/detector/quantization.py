"""Post-training quantisation of an exported network: 8-bit convolutions, about two thirds of the bf16 time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nightglass.detector.backends import Images
from nightglass.detector.silent_openvino import import_openvino

#: Of good images; more change nothing that was measured (docs/adr/0008-int8-by-default.md).
CALIBRATION_IMAGES = 64
_FIRST_BLOCK = 3
_CONVOLUTIONS = ("Convolution", "GroupConvolution")


def quantize_network(network: Path, images: Images, quantized: Path) -> None:
    """Write a network of 8-bit weights and activations, with the ranges that activations have on ``images``.

    The first block, which is the first three convolutions (the stem and the depthwise and pointwise ones behind it),
    stays as it is: it sees the pixels themselves, few channels of very different ranges, and costs nearly all that
    quantising everything loses.

    Args:
        network: The .xml file of `export_openvino`.
        images: What to calibrate on, ``(N, S, S, 3)`` uint8 RGB.
        quantized: The .xml file to write, with its .bin beside it.
    """
    ov = import_openvino()
    import nncf

    nncf.set_log_level(logging.ERROR)  # it would warn of fewer images than it likes, on stdout
    model = ov.Core().read_model(network)
    with _no_progress_bars():
        smaller = nncf.quantize(
            model,
            nncf.Dataset([image[None] for image in images]),
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=_first_block(model)),
        )
    ov.save_model(smaller, quantized, compress_to_fp16=False)


def _first_block(model: Any) -> list[str]:  # noqa: ANN401  an openvino.Model
    names = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in _CONVOLUTIONS]
    return names[:_FIRST_BLOCK]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Silence rich's console for a while; nncf draws its bars there and has no switch for them."""
    import rich

    console = rich.get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before
