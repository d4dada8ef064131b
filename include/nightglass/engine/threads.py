"""Threads that compute: the workers are the parallelism, no library starts more below them."""

from concurrent.futures import ThreadPoolExecutor


def start_workers(count: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of ``count`` threads, in each of which FAISS computes without threads of its own."""
    return ThreadPoolExecutor(count, thread_name_prefix=name, initializer=_compute_alone)


def _compute_alone() -> None:
    import faiss

    faiss.omp_set_num_threads(1)  # holds for the calling thread only, so each worker says it
