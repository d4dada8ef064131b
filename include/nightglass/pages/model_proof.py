"""What a retraining measured, read from its folder and kept: its records do not change once it is concluded."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache
from fastapi import Request
from pydantic import ValidationError

from nightglass.collections import Collection
from nightglass.errors import NightglassError
from nightglass.pages.places import StorageOptions
from nightglass.retraining.records import Evaluation, Retraining, TrainingFacts
from nightglass.storage import open_folder

_log = logging.getLogger(__name__)
_MOST_KEPT_BYTES = 16 * 1024 * 1024  # of JSON
_lock = Lock()


@dataclass(frozen=True)
class Proof:
    """The figures and the training images of a retraining; None, with a ``problem``, where its folder is gone."""

    evaluation: Evaluation | None
    training: TrainingFacts | None
    problem: str = ""
    size_bytes: int = 0


_kept: "LRUCache[tuple[str, str], Proof]" = LRUCache(_MOST_KEPT_BYTES, getsizeof=lambda proof: proof.size_bytes)


def read_proof(request: Request, collection: Collection, retraining: Retraining) -> Proof:
    """Return the proof of a concluded retraining; nothing is raised: its gates are in the database in any case."""
    key = retraining.folder_url, retraining.finished_at
    with _lock:
        if kept := _kept.get(key):
            return kept
    options: StorageOptions = request.app.state.storage_options
    try:
        proof = _read(retraining, options(collection) if retraining.folder_url.startswith("s3://") else None)
    except (NightglassError, ValidationError) as error:
        _log.warning("%s: the proof of %s cannot be shown: %s", collection.name, retraining.run, error)
        return Proof(None, None, "The folder of this retraining cannot be read: only what the database keeps is shown.")
    if proof.size_bytes <= _MOST_KEPT_BYTES:
        with _lock:
            _kept[key] = proof
    return proof


def _read(retraining: Retraining, storage_options: Mapping[str, Any] | None) -> Proof:
    from nightglass.retraining.plan import EVALUATION_NAME, FACTS_NAME

    folder = open_folder(retraining.folder_url, storage_options)
    measured, training = folder.read_bytes(EVALUATION_NAME), folder.read_bytes(FACTS_NAME)
    return Proof(
        Evaluation.model_validate_json(measured),
        TrainingFacts.model_validate_json(training),
        size_bytes=len(measured) + len(training),
    )
