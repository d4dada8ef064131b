"""Torch as fine-tuning needs it: reproducible, and as it was before for everyone else afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

#: Sums have the same order on every machine only with one thread; the trunk and decoding have threads of their own.
THREADS = 1
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # without it cuBLAS refuses, or is not reproducible


@contextmanager
def torch_alone() -> Iterator[None]:
    """Compute in one thread and by deterministic algorithms only, and restore what was set before.

    That holds for torch, for FAISS and for BLAS, whose sums depend on the number of threads too.
    """
    import torch

    threads = torch.get_num_threads()
    was_strict, only_warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    benchmark, workspace = torch.backends.cudnn.benchmark, os.environ.get(_WORKSPACE)
    try:
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        os.environ.setdefault(_WORKSPACE, ":4096:8")
        with threadpool_limits(THREADS), torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(was_strict, warn_only=only_warns)
        torch.backends.cudnn.benchmark = benchmark
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)
