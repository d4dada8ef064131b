"""Costs that were measured before, for where nothing can be measured: each with the machine's name."""

from nightglass.capacity.stage_costs import StageCosts

_EPYC = {
    "source": "table",
    "told": "table: AMD EPYC (Zen 4), 2 cores, int8",
    "device": "auto",
    "cores": 2,
    "load_seconds": 0.21,
}
_STAGES = ("wait", "decode", "embed", "search")
_COLUMNS = (
    *("images", "megapixels", "image_bytes", "list_seconds", "shard_seconds"),
    *("finish_seconds", "row_bytes", "picture_bytes"),
)
#: What `nightglass plan` measured of its drawn JPEGs on 2026-11-22: the shares of the stages, then the columns.
_EPYC_ROWS = (
    ((0.0, 0.347, 0.629, 0.024), 667, 0.1, 30_600, 0.000056, 0.00341, 0.12, 346, 41_300),
    ((0.019, 0.577, 0.389, 0.015), 267, 1.0, 255_000, 0.000198, 0.00529, 0.28, 367, 87_900),
    ((0.078, 0.691, 0.221, 0.01), 96, 4.0, 958_000, 0.000502, 0.0103, 0.72, 419, 65_300),
    ((0.077, 0.818, 0.1, 0.005), 96, 12.0, 2_790_000, 0.00129, 0.0202, 0.68, 419, 55_500),
)

MACHINES: tuple[StageCosts, ...] = tuple(
    StageCosts.model_validate(
        _EPYC | dict(zip(_COLUMNS, figures, strict=True)) | {"stage_shares": dict(zip(_STAGES, shares, strict=True))}
    )
    for shares, *figures in _EPYC_ROWS
)
