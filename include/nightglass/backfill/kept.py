"""What a backfill keeps in a night's folder: ``rescored/<version>/`` with scores, and what they say beside the old."""

import logging

from pydantic import ValidationError

from nightglass.backfill.records import RescoredScores
from nightglass.collections import Scoring
from nightglass.detector.detector import Detector
from nightglass.engine.results import RESCORED_FOLDER
from nightglass.engine.shards import score_key
from nightglass.images.manifest import SCHEMA, Manifest
from nightglass.storage import Folder

RESCORED_NAME, SKIPPED_NAME = "rescored.json", "skipped.txt"
_log = logging.getLogger(__name__)


def rescored_folder(night: Folder, version: str) -> Folder:
    """Return the folder of a version's scores below a night's folder."""
    return night.child(f"{RESCORED_FOLDER}/{version}")


def score_key_of(data_version: str, detector: Detector, options: Scoring) -> str:
    """Return what the version's scores of these images depend on."""
    return score_key(Manifest(SCHEMA.empty_table(), 0, data_version), detector, options)


def read_kept(night: Folder, version: str) -> RescoredScores | None:
    """Return what a version scored of a night; None where it did not, or where that cannot be read."""
    folder = rescored_folder(night, version)
    if not folder.exists(RESCORED_NAME):
        return None
    try:
        return RescoredScores.model_validate_json(folder.read_bytes(RESCORED_NAME))
    except ValidationError as error:  # another version of Nightglass wrote it
        _log.warning("%s/%s counts as missing: %s", folder.url, RESCORED_NAME, " ".join(str(error).split())[:300])
        return None


def is_kept(night: Folder, version: str, key: str, champion_result: str) -> bool:
    """Tell whether just these scores are there, compared with just this assessment."""
    kept = read_kept(night, version)
    return kept is not None and (kept.score_key, kept.champion_result) == (key, champion_result)
