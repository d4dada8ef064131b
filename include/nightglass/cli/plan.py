"""``nightglass plan``: how long a night of a given size takes, what it costs, and what limits it."""

import math
from typing import Any

import click

from nightglass.capacity.sources import Source
from nightglass.cli.common import json_option, named_collection, print_result, showing_progress
from nightglass.collections import Device

_FROM_MEMORY = "the files came from memory: say with --store-mb-per-second what a task reads from your store"


class _Number(click.FloatRange):
    """A finite number: a range lets "nan" through, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the number, or fail as click does."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


@click.command()
@click.option("--images", required=True, type=click.IntRange(1, 1_000_000_000), help="Images of a night.")
@click.option("--megapixels", type=_Number(0.001, 2_000), help="Of each; default: as the collection's nights.")
@click.option("--image-bytes", type=_Number(1), help="Size of a file; default: as those that were measured.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Tasks at once.")
@click.option("--cores", type=click.IntRange(1, 1_024), help="Of each task; default: as measured.")
@click.option(
    "--store-mb-per-second", type=_Number(0.001), help="That one task reads; default: as where it was measured."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--collection", help="YAML file of a collection, or its name: its last nights say what an image costs.")
@click.option(
    "--source",
    type=click.Choice(["nights", "measured", "table"]),
    help="Where the costs are from; default: the collection's nights, else this machine, else the table.",
)
@click.option("--shard-size", type=click.IntRange(1), help="Images a task; default: the collection's, or 2000.")
@click.option("--price-per-hour", type=_Number(0), help="Of what runs one task; default: NIGHTGLASS_PRICE_PER_HOUR.")
@json_option
def plan(
    *,
    images: int,
    megapixels: float | None,
    image_bytes: float | None,
    workers: int,
    cores: int | None,
    store_mb_per_second: float | None,
    device: Device,
    collection: str | None,
    source: Source | None,
    shard_size: int | None,
    price_per_hour: float | None,
    as_json: bool,
) -> None:
    """Say what a night of so many images takes, from measured costs.

    Without a collection whose nights were measured, this machine is: that takes about half a minute.
    """
    from nightglass.capacity.forecast import Question, forecast
    from nightglass.capacity.sources import find_costs
    from nightglass.collections import Scoring
    from nightglass.settings import read_settings

    settings = read_settings()
    file, known = named_collection(collection) if collection else (None, None)
    scoring = known.scoring if known else Scoring()
    with showing_progress():
        costs, notes = find_costs(
            file=file,
            source=source,
            megapixels=megapixels,
            image_bytes=image_bytes,
            device=device,
            cores=cores,
        )
    question = Question(
        images=images,
        workers=workers,
        cores=cores or costs.cores,
        store_bytes_per_second=None if store_mb_per_second is None else store_mb_per_second * 1e6,
        shard_size=shard_size or scoring.shard_size,
        batch_size=scoring.batch_size,
        top_k=scoring.top_k,
        price_per_hour=settings.price_per_hour if price_per_hour is None else price_per_hour,
        currency=settings.currency,
    )
    found = forecast(question, costs)
    if costs.source != "nights" and store_mb_per_second is None:
        notes = [*notes, _FROM_MEMORY]
    result = found.model_dump(mode="json") | {"notes": [*notes, *found.notes], "costs": costs.model_dump(mode="json")}
    print_result(result, as_json=as_json, tell=_tell)


def _tell(result: dict[str, Any]) -> str:
    from nightglass.night.report.cost import tell_seconds

    costs, size = result["costs"], _size(result["image_bytes"])
    parts = ", ".join(f"{name} {tell_seconds(seconds)}" for name, seconds in result["wall_parts"].items())
    at_most = f"at most {_size(result['read_bytes_per_second'])}/s"
    rows = {
        "costs from": f"{costs['told']}; {costs['cores']} cores, device {costs['device']}",
        "night": f"{result['images']:,} images of {result['megapixels']:g} megapixels, {size} each",
        "tasks": f"{result['shards']} shards of {result['images_per_shard']:,} images, "
        f"{result['workers']} at once with {result['cores']} cores each",
        "wall time": f"{tell_seconds(result['wall_seconds'])}: {parts}",
        "speed": f"{result['images_per_second']:,} images/s",
        "compute time": tell_seconds(result["compute_seconds"]),
        "cost": _tell_cost(result),
        "memory": f"{result['shard_memory_mb']:,} MB a scoring task, "
        f"{result['night_memory_mb']:,} MB to list and to assess",
        "read": f"{_size(result['read_bytes'])} in {result['read_requests']:,} requests, {at_most}",
        "written": f"{_size(result['written_bytes'])}, of which {_size(result['kept_bytes'])} stay",
        "limited by": result["limited_by"],
    }
    width = max(map(len, rows))
    return "\n".join(
        [*(f"{name:{width}}  {text}" for name, text in rows.items()), *(f"note: {note}" for note in result["notes"])]
    )


def _tell_cost(result: dict[str, Any]) -> str:
    from nightglass.night.report.cost import tell_money

    if result["cost"] is None:
        return "set --price-per-hour or NIGHTGLASS_PRICE_PER_HOUR"
    names = ("cost", "cost_per_1000_images", "cost_of_workers")
    whole, thousand, workers = (tell_money(result[name], result["currency"]) for name in names)
    return f"{whole}, {thousand} per 1,000 images; {workers} where every worker is paid to the end"


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"
