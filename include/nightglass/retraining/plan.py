"""What the tasks of one retraining pass on to each other, and where they find things."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nightglass.collections import Collection, read_collection
from nightglass.models import FoundModel, find_version
from nightglass.records import ModelRef, Record
from nightglass.settings import Settings, read_settings
from nightglass.storage import Folder, open_folder

PLAN_NAME = "plan.json"
TRAINING_NAME, FROZEN_NAME, FACTS_NAME = "training.parquet", "evaluation.parquet", "training.json"
EVALUATION_NAME, GATES_NAME, REPORT_NAME = "evaluation.json", "gates.json", "report.html"
SHADOW_END_NAME = "shadow_end.json"
CARD_NAMES = ("card.md", "card.html")
_NO_NAME = re.compile(r"[^A-Za-z0-9._+-]+")


class Request(Record):
    """Who asks for a retraining and what of; ``run`` names it: the same run again goes on where it stopped.

    ``since`` and ``until`` bound the nights; without them the most recent ones count. ``champion_version`` is the one
    that the request is about; None: whichever is champion.
    """

    run: str
    requested_by: str
    reason: str
    champion_version: str | None = None
    since: str | None = None
    until: str | None = None
    use_verdicts: bool = True
    dry_run: bool = False


class RetrainPlan(Record):
    """A retraining that is under way; small, since it travels through Airflow's XCom."""

    collection: str
    collection_file: str
    request: Request
    folder_url: str
    champion: ModelRef
    champion_fingerprint: str
    data_version: str
    started_at: str
    challenger: ModelRef | None = None
    challenger_fingerprint: str | None = None
    fitted_at: str | None = None


@dataclass(frozen=True)
class RetrainPlace:
    """The places of a retraining, opened."""

    settings: Settings
    collection: Collection
    folder: Folder
    storage_options: Mapping[str, Any] | None

    @classmethod
    def open(cls, collection_file: str, run: str, storage_options: Mapping[str, Any] | None) -> "RetrainPlace":
        """Read settings and the collection's file, and open the retraining's folder."""
        settings, collection = read_settings(), read_collection(Path(collection_file))
        url = f"{settings.retraining_url}/{collection.name}/{_NO_NAME.sub('_', run).strip('.') or '_'}"
        folder = open_folder(url, storage_options if url.startswith("s3://") else None)
        return cls(settings, collection, folder, storage_options)

    def nights(self) -> Folder:
        """Return the folder of the collection's nights."""
        url = f"{self.settings.nights_url}/{self.collection.name}"
        return open_folder(url, self.storage_options if url.startswith("s3://") else None)

    def kept_plan(self) -> RetrainPlan | None:
        """Return what the run's snapshot came to, None where it did not end yet."""
        if not self.folder.exists(PLAN_NAME):
            return None
        return RetrainPlan.model_validate_json(self.folder.read_bytes(PLAN_NAME))


class Planned:
    """A plan with its places and its models."""

    def __init__(self, plan: RetrainPlan, storage_options: Mapping[str, Any] | None) -> None:
        self.plan = plan
        self.place = RetrainPlace.open(plan.collection_file, plan.request.run, storage_options)

    @cached_property
    def champion(self) -> FoundModel:
        """The champion that the retraining began with."""
        return find_version(self.plan.champion, self.plan.champion_fingerprint, self.place.settings)

    @cached_property
    def challenger(self) -> FoundModel:
        """The challenger; only after its fit."""
        plan = self.plan
        if plan.challenger is None or plan.challenger_fingerprint is None:
            raise ValueError(f"{plan.collection}: the challenger of {plan.request.run} is not fitted yet")
        return find_version(plan.challenger, plan.challenger_fingerprint, self.place.settings)
