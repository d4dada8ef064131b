"""The manifest of a folder: every image with its size, sha256 and header facts.

The manifest's own sha256 is the data version: the same paths with the same contents have the same one.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightglass.collections import Scoring
from nightglass.errors import InputError
from nightglass.images.decoding import decode_pixels, let_limits_decide, read_header
from nightglass.images.listing import ListedImage, list_images
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.images.reading import ImageRow, limits_of, read_image
from nightglass.storage import Folder

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("raw_path", pa.binary()),
        ("size_bytes", pa.int64()),
        ("modified_at", pa.timestamp("us", tz="UTC")),
        ("sha256", pa.string()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("brightness", pa.float64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
_BRIGHTNESS_SAMPLE = 256
_REMOTE_READERS = 16
_CHUNK = 1024
_TIMED_IMAGES = 9
_WORTH_A_THREAD_SECONDS = 0.0005  # small files from the cache take a fifth of it
_PIECE = 16  # images a thread takes at once: handing them over one by one costs as much as reading them


_Listed = tuple[ListedImage, bool]  # an image, and whether its brightness is measured


@dataclass(frozen=True)
class Manifest:
    """The images of a folder in the order of their paths; ``ignored`` counts the files that are no images."""

    table: pa.Table
    ignored: int
    data_version: str

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def find_rows(self, paths: list[str]) -> dict[str, ImageRow]:
        """Return the rows of some paths."""
        chosen = self.table.filter(pc.is_in(self.table["path"], pa.array(paths, pa.string())))
        return {row.path: row for row in Manifest(chosen, 0, "").image_rows()}

    def without(self, digests: frozenset[str], place_digest: Callable[[str], str]) -> "Manifest":
        """Return the manifest without the images that were deleted on request; they count as ignored.

        Args:
            digests: Sha256 of contents; of images that could not be read, of their places.
            place_digest: Returns that of a path.
        """
        if not digests:
            return self
        columns = (self.table[name].to_pylist() for name in ("path", "sha256"))
        is_kept = [(sha256 or place_digest(path)) not in digests for path, sha256 in zip(*columns, strict=True)]
        if all(is_kept):
            return self
        kept = self.table.filter(pa.array(is_kept, pa.bool_()))
        named = (kept[name].to_pylist() for name in ("path", "size_bytes", "sha256"))
        digest = hashlib.sha256()
        for path, size_bytes, sha256 in zip(*named, strict=True):
            digest.update(_line_of(path, size_bytes, sha256))
        return Manifest(kept, self.ignored + len(self) - len(kept), digest.hexdigest())

    def image_rows(self, start: int = 0, stop: int | None = None) -> list[ImageRow]:
        """Return rows ``start`` to ``stop`` that are not quarantined."""
        part = self.table.slice(start, None if stop is None else stop - start)
        part = part.filter(pc.is_null(part["reason"]))
        columns = [part[name].to_pylist() for name in ("path", "raw_path", "size_bytes", "sha256")]
        return [
            ImageRow(path, path if raw is None else os.fsdecode(raw), size_bytes, sha256)
            for path, raw, size_bytes, sha256 in zip(*columns, strict=True)
        ]


def build_manifest(
    folder: Folder,
    suffixes: tuple[str, ...],
    options: Scoring,
    *,
    workers: int,
    sample_brightness: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """List ``folder`` and read every image once for its sha256 and header facts.

    Args:
        folder: The images.
        suffixes: Which names count as images, lower case.
        options: Limits on what is read.
        workers: Threads that read; remote stores get more.
        sample_brightness: Measure the brightness of some images, which decodes them; validation asks for it.
        progress: Called with images done and in all.

    Raises:
        InputError: The folder does not exist or holds no image.
    """
    let_limits_decide()
    listing = list_images(folder, suffixes)
    total = len(listing.images)
    if not total:
        known = ", ".join(suffixes)
        raise InputError(f"{folder.url}: expected images ({known}), got none and {listing.ignored} other files")
    step = max(1, total // _BRIGHTNESS_SAMPLE)
    inspect = _Inspector(folder, options)
    digest = hashlib.sha256()
    batches: list[pa.RecordBatch] = []
    readers = _count_readers(listing.images, inspect, workers) if folder.is_local else _REMOTE_READERS
    with ThreadPoolExecutor(readers, thread_name_prefix="list") as pool:
        for start in range(0, total, _CHUNK):
            stop = min(start + _CHUNK, total)
            sampled = [sample_brightness and number % step == 0 for number in range(start, stop)]
            pieces = _cut(list(zip(listing.images[start:stop], sampled, strict=True)))
            rows = [row for piece in pool.map(inspect, pieces) for row in piece]
            for row in rows:
                digest.update(_line_of(row["path"], row["size_bytes"], row.get("sha256")))
            batches.append(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
            if progress:
                progress(stop, total)
    return Manifest(pa.Table.from_batches(batches, SCHEMA), listing.ignored, digest.hexdigest())


def _line_of(path: str, size_bytes: int, sha256: str | None) -> bytes:
    """Return what the data version is made of, an image."""
    return f"{path}\0{size_bytes}\0{sha256 or ''}\n".encode()


def _count_readers(images: list[ListedImage], inspect: "_Inspector", workers: int) -> int:
    """Return 1 where a typical image takes less time than the threads would spend on waiting for each other."""
    seconds = []
    for image in images[:: -(-len(images) // _TIMED_IMAGES)]:
        start = time.perf_counter()
        inspect([(image, False)])
        seconds.append(time.perf_counter() - start)
    return workers if median(seconds) > _WORTH_A_THREAD_SECONDS else 1


def _cut(images: list[_Listed]) -> Iterator[list[_Listed]]:
    for start in range(0, len(images), _PIECE):
        yield images[start : start + _PIECE]


class _Inspector:
    """Reads listed images and tells their rows of the manifest."""

    def __init__(self, folder: Folder, options: Scoring) -> None:
        self._folder = folder
        self._max_file_bytes = options.max_file_bytes
        self._limits = limits_of(options)

    def __call__(self, images: list[_Listed]) -> list[dict[str, Any]]:
        return [self._inspect(image, measure_brightness=is_sampled) for image, is_sampled in images]

    def _inspect(self, image: ListedImage, *, measure_brightness: bool) -> dict[str, Any]:
        row: dict[str, Any] = {
            "path": image.path,
            "raw_path": image.raw_path,
            "size_bytes": image.size_bytes,
            "modified_at": image.modified_at,
        }
        try:
            if image.reason is not None:
                raise QuarantinedError(image.reason, image.detail)
            data = self._read(image, row)
            row["size_bytes"] = len(data)
            row["sha256"] = hashlib.sha256(data).hexdigest()
            header = read_header(data, image.name_on_disk, self._limits)
            row |= {
                "format": header.format,
                "mode": header.mode,
                "width": header.width,
                "height": header.height,
            }
            if measure_brightness:
                row["brightness"] = float(decode_pixels(data, image.name_on_disk, self._limits, 64).mean())
        except QuarantinedError as error:
            row |= {"reason": str(error.reason), "detail": error.detail}
        return row

    def _read(self, image: ListedImage, row: dict[str, Any]) -> bytes:
        try:
            if image.size_bytes > self._max_file_bytes:
                raise QuarantinedError(QuarantineReason.TOO_LARGE_FILE, f"more than {self._max_file_bytes} bytes")
            return read_image(self._folder, image.name_on_disk, self._max_file_bytes)
        except QuarantinedError as error:
            if error.reason is QuarantineReason.TOO_LARGE_FILE:
                with suppress(InputError):  # gone meanwhile
                    row["sha256"] = self._hash_in_pieces(image.name_on_disk)
            raise

    def _hash_in_pieces(self, name: str) -> str:
        digest = hashlib.sha256()
        with self._folder.open_read(name) as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()
