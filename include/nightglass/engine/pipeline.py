"""Embed many images: threads that each read, decode and infer one batch, with a bounded number in flight.

Batches are cut from the manifest alone, so that the same images always share a batch and give the same numbers,
whatever the number of workers and however often a run was interrupted.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nightglass.collections import Scoring
from nightglass.detector.backends import Backend, Embedded
from nightglass.engine.stage_times import StageTimes
from nightglass.images.decoding import decode_rgb, let_limits_decide
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import ImageRow, check_unchanged, limits_of, read_image
from nightglass.storage import Folder

_MAX_BATCH_BYTES = 64 * 1024 * 1024  # of encoded files, so that a batch of huge images stays small in memory
_REMOTE_READERS = 16


@dataclass(frozen=True)
class EmbeddedBatch:
    """A batch in manifest order: ``embedded`` and ``pixels (N, S, S, 3)`` belong to ``rows``."""

    rows: list[ImageRow]
    pixels: NDArray[np.uint8]
    embedded: Embedded
    quarantined: list[tuple[ImageRow, QuarantinedError]]


class Pipeline:
    """Reads and embeds images of one folder; close it (or use ``with``) to end its threads."""

    def __init__(
        self,
        folder: Folder,
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
        self._in_flight = workers + 1
        self._compute = ThreadPoolExecutor(workers, thread_name_prefix="embed")
        # Local reads are cheaper than a hand-over; a remote store is waited for by many threads at once.
        self._readers = None if folder.is_local else ThreadPoolExecutor(_REMOTE_READERS, thread_name_prefix="read")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._compute.shutdown(wait=True, cancel_futures=True)
        if self._readers:
            self._readers.shutdown(wait=True, cancel_futures=True)

    def embed(self, rows: Sequence[ImageRow], *, patches: bool = False) -> Iterator[EmbeddedBatch]:
        """Yield the batches of ``rows`` in order; at most ``workers + 1`` are held at a time."""
        pending: deque[Future[EmbeddedBatch]] = deque()
        for batch in self._cut(rows):
            reads = [self._readers.submit(self._read, row) for row in batch] if self._readers else None
            pending.append(self._compute.submit(self._embed_batch, batch, reads, patches=patches))
            if len(pending) > self._in_flight:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _cut(self, rows: Sequence[ImageRow]) -> Iterator[list[ImageRow]]:
        batch: list[ImageRow] = []
        size_bytes = 0
        for row in rows:
            full = len(batch) >= self._options.batch_size or size_bytes + row.size_bytes > _MAX_BATCH_BYTES
            if batch and full:
                yield batch
                batch, size_bytes = [], 0
            batch.append(row)
            size_bytes += row.size_bytes
        if batch:
            yield batch

    def _read(self, row: ImageRow) -> bytes:
        with self._times.measure("read"):
            data = read_image(self._folder, row.name_on_disk, self._options.max_file_bytes)
            check_unchanged(data, row)
        return data

    def _embed_batch(self, batch: list[ImageRow], reads: list[Future[bytes]] | None, *, patches: bool) -> EmbeddedBatch:
        size = self._image_size
        pixels = np.empty((len(batch), size, size, 3), np.uint8)
        rows: list[ImageRow] = []
        quarantined: list[tuple[ImageRow, QuarantinedError]] = []
        for number, row in enumerate(batch):
            try:
                data = reads[number].result() if reads else self._read(row)
                with self._times.measure("decode"):
                    pixels[len(rows)] = decode_rgb(data, row.name_on_disk, self._limits, size)
            except QuarantinedError as error:
                quarantined.append((row, error))
            else:
                rows.append(row)
        pixels = pixels[: len(rows)]
        if not rows:
            return EmbeddedBatch(rows, pixels, Embedded(*(np.empty((0, 0), np.float32),) * 2), quarantined)
        with self._times.measure("embed"):
            embedded = self._backend.embed(pixels, patches=patches)
        return EmbeddedBatch(rows, pixels, embedded, quarantined)
