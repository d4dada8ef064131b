"""What a manifest's rows come down to, so that checking a million of them takes no more than checking a thousand."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nightglass.errors import InputError

#: What is read of the manifest.
COLUMNS = ("path", "sha256", "format", "mode", "width", "height", "brightness", "reason")
_NUMBERS = ("width", "height", "brightness")
#: Values that are named to people; there may be a million.
_EXAMPLES = 20


@dataclass(frozen=True)
class ManifestFacts:
    """The facts of one manifest.

    ``figures`` are about the whole night. ``values`` has a table for each header fact of the readable images: every
    value that comes up once, in column ``value``, and in how many ``images``; of brightness, which is measured of a
    few images only, a row for each of these. ``repeated_paths`` are examples.
    """

    figures: dict[str, float]
    values: dict[str, pd.DataFrame]
    repeated_paths: tuple[str, ...]

    def count(self, figure: str) -> int:
        """Return a figure that counts something."""
        return int(self.figures[figure])


def gather_facts(manifest: pa.Table) -> ManifestFacts:
    """Sum up a manifest.

    Args:
        manifest: The rows with at least `COLUMNS`; an empty one may be without columns.

    Raises:
        InputError: A column is missing, or holds text where a number belongs.
    """
    rows = _check_columns(manifest)
    images = rows.num_rows
    is_readable = pc.is_null(rows["reason"])
    readable = pc.sum(is_readable).as_py() or 0
    is_unhashed = pc.and_(is_readable, pc.is_null(rows["sha256"]))
    repeated, examples = _count_repeated(rows["path"])
    duplicates, _ = _count_repeated(rows["sha256"])
    figures = {
        "images": images,
        "readable": readable,
        "without_path": rows["path"].null_count,
        "repeated_paths": repeated,
        "without_sha256": pc.sum(is_unhashed).as_py() or 0,
        "duplicates": duplicates,
        "duplicate_share": duplicates / images if images else 0.0,
        "unreadable": images - readable,
        "unreadable_share": (images - readable) / images if images else 0.0,
    }
    values = {name: _count_values(rows[name].filter(is_readable)) for name in ("format", "mode", "width", "height")}
    sampled = rows["brightness"].filter(is_readable).drop_null()
    values["brightness"] = pd.DataFrame({"value": sampled.to_numpy(), "images": 1})
    return ManifestFacts(figures, values, examples)


def _check_columns(manifest: pa.Table) -> pa.Table:
    missing = [name for name in COLUMNS if name not in manifest.column_names]
    if missing and manifest.num_rows:
        raise InputError(f"manifest: expected the columns {', '.join(COLUMNS)}, got no {', '.join(missing)}")
    schema = pa.schema([(name, pa.float64() if name in _NUMBERS else pa.string()) for name in COLUMNS])
    if missing:
        return schema.empty_table()
    try:
        return manifest.select(COLUMNS).cast(schema)
    except pa.ArrowException as error:
        raise InputError(f"manifest: expected numbers in {', '.join(_NUMBERS)}, got {error}") from error


def _count_repeated(column: pa.ChunkedArray) -> tuple[int, tuple[str, ...]]:
    """Return how many rows have a value that another has, and some of these values."""
    counted = pc.value_counts(column.drop_null())
    is_repeated = pc.greater(counted.field("counts"), 1)
    rows = pc.sum(pc.filter(counted.field("counts"), is_repeated)).as_py() or 0
    return rows, tuple(pc.filter(counted.field("values"), is_repeated)[:_EXAMPLES].to_pylist())


def _count_values(column: pa.ChunkedArray) -> pd.DataFrame:
    counted = pc.value_counts(column.drop_null())
    return pd.DataFrame({"value": counted.field("values").to_pandas(), "images": counted.field("counts").to_numpy()})
