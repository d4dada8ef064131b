"""What a deletion on request must not miss: the scores of a night that were written while it went on."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightglass.engine.merge import QUARANTINE_NAME, SCORES_NAME
from nightglass.errors import InputError
from nightglass.maintenance.deletion_records import place_digest
from nightglass.night.plan import NightPlace
from nightglass.storage import Folder


def check_nothing_deleted(place: NightPlace, night: str, out: Folder) -> None:
    """Make sure that no image of a version's scores is one that was deleted, or is being.

    Called when all of them are written: a deletion that begins afterwards finds them.

    Args:
        place: The night's places.
        night: Its date.
        out: The folder of the version's scores.

    Raises:
        InputError: One of them was deleted.
        CollectionInWorkError: Maintenance, or a deletion, rewrites nights of the collection just now.
    """
    with place.open_store() as store:
        store.upkeep.check_free(place.collection.name, datetime.now(UTC))
        deleted = store.upkeep.deletions.contents(place.collection.name)
    if deleted and (_has_content(out, deleted) or _has_place(out, night, deleted)):
        raise InputError(
            f"{out.url}: expected images that nobody deleted, got one that was deleted on request meanwhile"
        )


def _has_content(out: Folder, deleted: frozenset[str]) -> bool:
    digests = pa.array(sorted(deleted), pa.string())
    with out.open_read(SCORES_NAME) as file:
        batches = pq.ParquetFile(file).iter_batches(columns=["sha256"])
        return any(pc.any(pc.is_in(batch["sha256"], digests)).as_py() for batch in batches)


def _has_place(out: Folder, night: str, deleted: frozenset[str]) -> bool:
    paths = out.read_table(QUARANTINE_NAME, ["path"])["path"].to_pylist()
    return any(place_digest(night, path) in deleted for path in paths)
