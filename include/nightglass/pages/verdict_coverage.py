"""How many images a verdict on a whole night or on one of its slices is about."""

from collections import Counter
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache, cached

from nightglass.errors import InputError
from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.images.slices import slices_of
from nightglass.storage import Folder, explaining
from nightglass.store import NightRow

_KEPT_NAMES = 100_000  # of slices, of all nights together: some 20 MB


def count_images(source: Folder, row: NightRow, pattern: str | None, slice_name: str | None) -> int:
    """Return how many of a night's images a verdict covers.

    Args:
        source: The night's score folder.
        row: The night, as it was published.
        pattern: The collection's ``slices``.
        slice_name: Such as ``camera=left``; None: the whole night.

    Raises:
        InputError: The night has no such slice, or its manifest is gone.
    """
    if slice_name is None:
        return row.images
    counts = _count_slices(source, row.data_version, pattern) if pattern else Counter[str]()
    if not counts[slice_name]:
        raise InputError(f"{row.collection} {row.night}: expected a slice of the night, got {slice_name[:100]!r}")
    return counts[slice_name]


def _name_manifest(source: Folder, data_version: str, pattern: str) -> tuple[str, str, str]:
    return source.url, data_version, pattern


@cached(LRUCache(_KEPT_NAMES, getsizeof=lambda counts: len(counts) + 1), key=_name_manifest, lock=Lock())
def _count_slices(source: Folder, data_version: str, pattern: str) -> Counter[str]:  # noqa: ARG001  what it is kept by
    """Count the images of each slice, a piece of the manifest at a time."""
    counts: Counter[str] = Counter()
    where = f"{source.url}/{MANIFEST_NAME}"
    with source.open_read(MANIFEST_NAME) as file, explaining(where):
        try:
            manifest = pq.ParquetFile(file)
            for group in range(manifest.num_row_groups):
                paths = manifest.read_row_group(group, columns=["path"])["path"].to_pylist()
                together = Counter(slices_of(path, pattern) for path in paths)
                for names, number in together.items():
                    counts.update(dict.fromkeys(names, number))
        except pa.ArrowException as error:
            raise InputError(f"{where}: expected a Parquet file, got {' '.join(str(error).split())[:200]}") from error
    return counts
