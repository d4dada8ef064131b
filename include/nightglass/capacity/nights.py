"""Costs from a collection's own recent nights: their summaries, manifests and files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from nightglass.capacity.stage_costs import StageCosts, share_stages
from nightglass.collections import Collection, read_collection
from nightglass.engine.merge import INDEX_NAME, SCORES_NAME
from nightglass.engine.results import SUMMARY_NAME
from nightglass.engine.stage_times import add_seconds
from nightglass.engine.top_anomalies import MAPS_FOLDER
from nightglass.images.manifest_file import MANIFEST_NAME, read_manifest
from nightglass.settings import read_settings
from nightglass.storage import Folder, open_folder
from nightglass.store import Store

_NIGHTS = 5
_LOOKED_AT = 30


class _Parts(BaseModel):
    model_config = ConfigDict(extra="ignore")

    list: float
    shards: float
    finish: float


class _Summary(BaseModel):
    """What is read of a night's ``summary.json``; one of an older Nightglass has no ``compute_parts``."""

    model_config = ConfigDict(extra="ignore")

    images: int
    workers: int
    top_k: int
    compute_parts: _Parts
    stage_seconds: dict[str, float]


class _Night(BaseModel):
    model_config = ConfigDict(frozen=True)

    summary: _Summary
    megapixels: float
    image_bytes: float
    row_bytes: float
    picture_bytes: float


def costs_of_nights(file: Path, storage_options: Mapping[str, Any] | None = None) -> StageCosts | None:
    """Return what an image cost on the collection's last nights; None where no night was measured.

    At most five nights count, those that ran on as many cores as the last one.

    Args:
        file: The collection's file.
        storage_options: Credentials of remote folders.
    """
    settings, collection = read_settings(), read_collection(file)
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        rows = store.list_nights(collection.name, _LOOKED_AT)
    nights: list[_Night] = []
    for row in rows:
        url = f"{settings.nights_url}/{collection.name}/{row.night}"
        found = _read_night(open_folder(url, storage_options if url.startswith("s3://") else None))
        if found and (not nights or found.summary.workers == nights[0].summary.workers):
            nights.append(found)
        if len(nights) == _NIGHTS:
            break
    return _add_up(collection, nights) if nights else None


def _read_night(folder: Folder) -> _Night | None:
    names = set(folder.names())
    if not {SUMMARY_NAME, MANIFEST_NAME, SCORES_NAME, INDEX_NAME} <= names:
        return None
    try:
        summary = _Summary.model_validate_json(folder.read_bytes(SUMMARY_NAME))
    except ValidationError:  # written before compute time was measured
        return None
    if not summary.compute_parts.shards or not summary.images:
        return None
    table = read_manifest(folder, columns=["size_bytes", "width", "height"]).table
    pixels = pc.multiply(table["width"].cast("float64"), table["height"].cast("float64"))
    sizes = [folder.fs.info(folder.path(name))["size"] for name in (MANIFEST_NAME, SCORES_NAME, INDEX_NAME)]
    pictures = folder.fs.du(folder.path(MAPS_FOLDER)) if MAPS_FOLDER in names else 0
    return _Night(
        summary=summary,
        megapixels=(pc.mean(pixels).as_py() or 0.0) / 1e6,
        image_bytes=pc.mean(table["size_bytes"]).as_py() or 0.0,
        row_bytes=sum(sizes) / summary.images,
        picture_bytes=pictures / summary.top_k,
    )


def _add_up(collection: Collection, nights: list[_Night]) -> StageCosts:
    images = sum(night.summary.images for night in nights)

    def mean(of: str) -> float:
        return float(sum(getattr(night, of) * night.summary.images for night in nights) / images)

    parts = [night.summary.compute_parts for night in nights]
    cores = nights[0].summary.workers
    return StageCosts(
        source="nights",
        told=f"the last {len(nights)} measured {'night' if len(nights) == 1 else 'nights'} of {collection.name}",
        device=collection.scoring.device,
        cores=cores,
        images=images,
        megapixels=mean("megapixels"),
        image_bytes=mean("image_bytes"),
        list_seconds=sum(part.list for part in parts) / images,
        shard_seconds=sum(part.shards for part in parts) / images,
        stage_shares=share_stages(add_seconds(*(night.summary.stage_seconds for night in nights))),
        load_seconds=0.0,
        finish_seconds=sum(part.finish for part in parts) / len(parts),
        row_bytes=mean("row_bytes"),
        picture_bytes=mean("picture_bytes"),
    )
