"""What the tasks of one night pass on to each other, and where they find things."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from nightglass.collections import Collection, read_collection
from nightglass.engine.score import ScoreJob
from nightglass.engine.stage_times import count_workers
from nightglass.errors import InputError
from nightglass.maintenance.deletion_records import STAGING
from nightglass.models import FoundModel, find_version
from nightglass.night.elsewhere import check_allowed
from nightglass.records import ModelRef, Record
from nightglass.settings import Settings, read_settings
from nightglass.storage import Folder, open_folder
from nightglass.store import Store


class NightPlan(Record):
    """A night that is being scored; small, since it travels through Airflow's XCom."""

    collection: str
    collection_file: str
    night: str
    images_url: str
    folder_url: str
    model: ModelRef
    model_fingerprint: str
    score_key: str
    data_version: str
    images: int
    ignored: int
    shards: int
    top_k: int
    rescore: bool
    listing_seconds: float = 0.0


@dataclass(frozen=True)
class NightPlace:
    """The places of a night, opened: settings, collection, images, score folder, and those of all its nights."""

    settings: Settings
    collection: Collection
    images: Folder
    out: Folder
    all_nights: Folder

    @classmethod
    def open(
        cls, collection_file: str, night: str, images_url: str | None, storage_options: Mapping[str, Any] | None
    ) -> "NightPlace":
        """Read the collection's file and the settings, and open the folders of ``night``.

        Raises:
            InputError: The night is no date, the collection's file is wrong, or the images may not be taken from there.
        """
        _check_night(night)
        settings = read_settings()
        collection = read_collection(Path(collection_file))
        images = _open(images_url or collection.night_url(night), storage_options)
        if images_url and images_url != collection.night_url(night):
            check_allowed(images, collection, settings)
        all_nights = _open(f"{settings.nights_url}/{collection.name}", storage_options)
        out = _open(f"{settings.nights_url}/{collection.name}/{night}", storage_options)
        return cls(settings, collection, images, out, all_nights)

    def open_store(self) -> Store:
        """Connect to the results; close it."""
        settings = self.settings
        store = Store.connect(settings.database_url, settings.sql_dir)
        store.migrate()
        return store

    def begin(self, night: str) -> None:
        """Say that a run works on the night: until it is published nobody else rewrites its files.

        Raises:
            CollectionInWorkError: Maintenance rewrites nights of the collection just now.
        """
        with self.open_store() as store:
            store.upkeep.begin_night(self.collection.name, night, datetime.now(UTC))
        self.out.remove(STAGING)  # of a deletion that was killed: it is prepared anew from what this run leaves

    @classmethod
    def of(cls, plan: NightPlan, storage_options: Mapping[str, Any] | None) -> "NightPlace":
        """Open the places of a plan."""
        return cls.open(plan.collection_file, plan.night, plan.images_url, storage_options)


class PlannedNight:
    """A plan with its places and its model."""

    def __init__(self, plan: NightPlan, storage_options: Mapping[str, Any] | None) -> None:
        self.plan = plan
        self.place = NightPlace.of(plan, storage_options)

    @cached_property
    def model(self) -> FoundModel:
        """The version that was champion when the night was listed."""
        plan = self.plan
        return find_version(plan.model, plan.model_fingerprint, self.place.settings)

    def job(self) -> ScoreJob:
        """Return what the engine needs."""
        place = self.place
        return ScoreJob(
            images=place.images,
            out=place.out,
            detector=self.model.detector,
            model=self.plan.model.uri,
            collection=place.collection,
            workers=count_workers(),
            top_k=self.plan.top_k,
        )


def _check_night(night: str) -> None:
    try:
        is_date = date.fromisoformat(night).isoformat() == night
    except ValueError:
        is_date = False
    if not is_date:
        raise InputError(f"night: expected a date YYYY-MM-DD, got {night!r}")


def _open(url: str, storage_options: Mapping[str, Any] | None) -> Folder:
    return open_folder(url, storage_options if url.startswith("s3://") else None)
