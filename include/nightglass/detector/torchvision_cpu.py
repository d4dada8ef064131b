"""Lets timm import torchvision next to a CPU build of torch.

The torchvision wheel on PyPI is built against CUDA. With a CPU torch its compiled operators do not load, and
its Python part then fails to register fake kernels for operators that do not exist ("operator torchvision::nms
does not exist"). Nightglass uses none of them: declaring the two names is enough.
"""

import functools

import torch


@functools.cache
def allow_torchvision_without_cuda() -> "torch.library.Library | None":
    """Declare torchvision's operators once when torch has no CUDA build; call before importing timm."""
    if torch.version.cuda is not None:
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # the cache keeps it alive
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library
