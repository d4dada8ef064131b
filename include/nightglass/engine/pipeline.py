"""Embed many images: threads read ahead, others decode and infer a batch each, with a bounded number in flight.

Batches are cut from the manifest alone, so that the same images always share a batch and give the same numbers,
whatever the number of workers and however often a run was interrupted.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nightglass.collections import Scoring
from nightglass.detector.backends import AT_ONCE, Backend, Embedded
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.threads import start_workers
from nightglass.images.decoding import decode_pixels, let_limits_decide
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import ImageRow, check_unchanged, limits_of, read_image
from nightglass.images.statistics import STATISTICS, measure_statistics
from nightglass.storage import Folder, Folders

_MAX_BATCH_BYTES = 64 * 1024 * 1024  # of encoded files, so that a batch of huge images stays small in memory
_REMOTE_READERS = 16  # a remote store is waited for by many threads at once
_ENDING = 4  # the next batch is at most this part of the images that are left
_EMBEDDED_NOTHING = Embedded(np.empty((0, 0), np.float32), np.empty((0, 0, 0, 0), np.float32))
T = TypeVar("T")
_Files = list[bytes | QuarantinedError]


@dataclass(frozen=True)
class EmbeddedBatch:
    """A batch in manifest order: ``pixels (N, S, S, 3)``, ``statistics (N, 4)`` and ``embedded`` belong to ``rows``."""

    rows: list[ImageRow]
    pixels: NDArray[np.uint8]
    statistics: NDArray[np.float32]
    embedded: Embedded
    quarantined: list[tuple[ImageRow, QuarantinedError]]


class Pipeline:
    """Reads and embeds images of one folder; close it (or use ``with``) to end its threads."""

    def __init__(
        self,
        folder: Folder | Folders,
        backend: Backend,
        image_size: int,
        options: Scoring,
        *,
        workers: int,
        times: StageTimes,
    ) -> None:
        let_limits_decide()
        self._folder = folder
        self._backend = backend
        self._image_size = image_size
        self._options = options
        self._limits = limits_of(options)
        self._times = times
        # One thread more than cores: a caller sleeps while the network's own threads compute, and the third keeps the
        # cores busy when others wait for the interpreter's lock. A second one more gains nothing.
        threads = workers + 1
        self._in_flight = threads + 1
        self._blas = threadpool_limits(1, "blas")
        self._compute = start_workers(threads, "embed")
        self._readers = ThreadPoolExecutor(workers if folder.is_local else _REMOTE_READERS, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._compute, self._readers):
            pool.shutdown(wait=True, cancel_futures=True)
        self._blas.restore_original_limits()

    @overload
    def embed(self, rows: Sequence[ImageRow]) -> Iterator[EmbeddedBatch]: ...

    @overload
    def embed(self, rows: Sequence[ImageRow], then: Callable[[EmbeddedBatch], T]) -> Iterator[T]: ...

    def embed(self, rows: Sequence[ImageRow], then: Callable[[EmbeddedBatch], Any] | None = None) -> Iterator[Any]:
        """Yield the batches of ``rows`` in order, or what ``then`` makes of each in the thread that embedded it."""
        return (done for done in self.embed_parts([rows], then) if done is not None)

    def embed_parts(
        self, parts: Iterable[Sequence[ImageRow]], then: Callable[[EmbeddedBatch], T] | None = None
    ) -> Iterator[T | None]:
        """Yield what `embed` yields of each part, and None after a part's last; the next part is begun meanwhile.

        ``then`` returns something else than None. No batch has images of two parts. At most ``workers + 3`` are held
        at a time, those being worked on and those whose files are read counted in.
        """
        pending: deque[Future[Any] | None] = deque()
        for batch in self._cut_parts(parts):
            begun = self._compute.submit(self._work, batch, self._start_reading(batch), then) if batch else None
            pending.append(begun)
            while len(pending) - pending.count(None) > self._in_flight:
                yield _result_of(pending.popleft())
        while pending:
            yield _result_of(pending.popleft())

    def _cut_parts(self, parts: Iterable[Sequence[ImageRow]]) -> Iterator[list[ImageRow] | None]:
        for rows in parts:
            yield from self._cut(rows)
            yield None

    def _cut(self, rows: Sequence[ImageRow]) -> Iterator[list[ImageRow]]:
        batch: list[ImageRow] = []
        size_bytes, limit = 0, _batch_limit(len(rows), self._options.batch_size)
        for number, row in enumerate(rows):
            if batch and (len(batch) >= limit or size_bytes + row.size_bytes > _MAX_BATCH_BYTES):
                yield batch
                batch, size_bytes = [], 0
                limit = _batch_limit(len(rows) - number, self._options.batch_size)
            batch.append(row)
            size_bytes += row.size_bytes
        if batch:
            yield batch

    def _start_reading(self, batch: list[ImageRow]) -> list[Future[_Files]]:
        """Read a local batch in one go, as handing over each file costs more than reading it; a remote one at once."""
        pieces = [batch] if self._folder.is_local else [[row] for row in batch]
        return [self._readers.submit(self._read, piece) for piece in pieces]

    def _read(self, rows: list[ImageRow]) -> _Files:
        files: _Files = []
        with self._times.measure("read"):
            for row in rows:
                try:
                    data = read_image(self._folder, row.name_on_disk, self._options.max_file_bytes)
                    check_unchanged(data, row)
                except QuarantinedError as error:
                    files.append(error)
                else:
                    files.append(data)
        return files

    def _work(
        self, batch: list[ImageRow], reads: list[Future[_Files]], then: Callable[[EmbeddedBatch], Any] | None
    ) -> object:
        start = time.perf_counter()
        with self._times.measure("wait"):
            files = [file for read in reads for file in read.result()]
        with self._times.measure("decode"):
            rows, pixels, statistics, quarantined = self._decode(batch, files)
        loading = self._wait_for_network()
        embedded = _EMBEDDED_NOTHING
        if rows:
            with self._times.measure("embed"):
                embedded = self._backend.embed(pixels)
        embedded_batch = EmbeddedBatch(rows, pixels, statistics, embedded, quarantined)
        done = then(embedded_batch) if then else embedded_batch
        self._times.note_batch(time.perf_counter() - start - loading, len(batch))
        return done

    def _wait_for_network(self) -> float:
        """Wait until the network is loaded; return the seconds, which are left out of the images' time."""
        start = time.perf_counter()
        _ = self._backend.name
        return time.perf_counter() - start

    def _decode(
        self, batch: list[ImageRow], files: _Files
    ) -> tuple[list[ImageRow], NDArray[np.uint8], NDArray[np.float32], list[tuple[ImageRow, QuarantinedError]]]:
        size = self._image_size
        pixels = np.empty((len(batch), size, size, 3), np.uint8)
        statistics = np.empty((len(batch), len(STATISTICS)), np.float32)
        rows: list[ImageRow] = []
        quarantined: list[tuple[ImageRow, QuarantinedError]] = []
        for row, file in zip(batch, files, strict=True):
            try:
                if isinstance(file, QuarantinedError):
                    raise file
                decoded = decode_pixels(file, row.name_on_disk, self._limits, size)
            except QuarantinedError as error:
                quarantined.append((row, error))
                continue
            statistics[len(rows)] = measure_statistics(decoded)
            for channel in range(3):  # one by one: numpy repeats a grey image into them six times slower
                pixels[len(rows), :, :, channel] = decoded if decoded.ndim == 2 else decoded[..., channel]
            rows.append(row)
        return rows, pixels[: len(rows)], statistics[: len(rows)], quarantined


def _batch_limit(left: int, most: int) -> int:
    """Return how many images the next batch has: fewer towards the end, so that threads end at about one time."""
    return min(most, -(-left // (_ENDING * AT_ONCE)) * AT_ONCE)


def _result_of(batch: "Future[Any] | None") -> Any:  # noqa: ANN401
    return None if batch is None else batch.result()
