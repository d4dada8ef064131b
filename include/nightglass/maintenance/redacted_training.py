"""Training records in which an image was deleted: its row stays and says so, its names go."""

from collections.abc import Callable, Collection

import pyarrow as pa
import pyarrow.compute as pc

from nightglass.engine.training_record import DELETED
from nightglass.maintenance.deletion_records import HIDDEN
from nightglass.maintenance.originals import Original
from nightglass.retraining.plan import FROZEN_NAME, TRAINING_NAME
from nightglass.storage import Folder

#: No folder of images can have it: a name that begins with a dot is never listed.
_NOWHERE = ".deleted"


def mark_rows(table: pa.Table, digest: str) -> tuple[pa.Table, int]:
    """Return a training record whose rows of this content are marked, and how many were not marked before."""
    is_same = pc.fill_null(pc.equal(table["sha256"], digest), False)
    is_marked = pc.fill_null(pc.equal(table["reason"], DELETED), False)
    changed = int(pc.sum(pc.and_(is_same, pc.invert(is_marked))).as_py() or 0)
    if not changed:
        return table, 0
    count = len(table)
    names = [f"{HIDDEN} {digest[:12]} {number}" for number in range(count)]
    new = {
        "path": pa.array(names, pa.string()),
        "path_in_folder": pa.array([f"{_NOWHERE}/{digest}"] * count, pa.string()),
        "raw_path": pa.nulls(count, pa.binary()),
        "reason": pa.array([DELETED] * count, pa.string()),
    }
    for name, values in new.items():
        place = table.schema.get_field_index(name)
        column = pc.if_else(is_same, values, table[name])
        table = table.set_column(place, table.schema.field(place), column)
    return table, changed


def originals_of(table: pa.Table, digest: str) -> list[Original]:
    """Return where the images of this content lie that a training record still names."""
    rows = table.filter(pc.fill_null(pc.equal(table["sha256"], digest), False)).to_pylist()
    return [
        Original(row["images_url"], row["raw_path"] or row["path_in_folder"].encode())
        for row in rows
        if row["reason"] != DELETED
    ]


def mark_deleted(retraining: Folder, digests: Collection[str]) -> None:
    """Mark what was asked to be deleted while a retraining gathered its images, which the deletion could not see yet.

    Args:
        retraining: The folder of the retraining, whose snapshot is whole.
        digests: Sha256 of all contents of the collection that were asked to be deleted.
    """
    for name in (TRAINING_NAME, FROZEN_NAME):
        table = retraining.read_table(name)
        found = sorted(set(digests) & set(table["sha256"].to_pylist()))
        marked = 0
        for digest in found:
            table, count = mark_rows(table, digest)
            marked += count
        if marked:
            retraining.write_table(name, table)


def mark_retrainings(
    retrainings: Folder, digest: str, before: Callable[[list[Original]], None]
) -> tuple[set[str], int]:
    """Mark an image in the snapshots and frozen sets of a collection's retrainings.

    Args:
        retrainings: The folder of the collection's retrainings.
        digest: Sha256 of its content.
        before: Called with where the image lies before its names go.

    Returns:
        The retrainings that have it, and how many of their rows were not marked before.
    """
    runs, marked = set(), 0
    for run in retrainings.names():
        for name in (TRAINING_NAME, FROZEN_NAME):
            if not retrainings.exists(f"{run}/{name}"):
                continue
            table = retrainings.read_table(f"{run}/{name}")
            new, count = mark_rows(table, digest)
            if digest in set(table["sha256"].to_pylist()):
                runs.add(run)
            if count:
                before(originals_of(table, digest))
                retrainings.write_table(f"{run}/{name}", new)
                marked += count
    return runs, marked
