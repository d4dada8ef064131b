"""Remove what is due of a collection's nights: noted first, so that the pages say why it is not there."""

import logging
import posixpath
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME
from nightglass.engine.results import ASSESSMENT_NAME, REPORT_NAME
from nightglass.errors import NightglassError
from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.maintenance.damage import explaining_damage
from nightglass.maintenance.hold import Hold
from nightglass.maintenance.listing import FoundFile, list_files
from nightglass.maintenance.needs import gather_needs
from nightglass.maintenance.retention import Due, find_due, list_old
from nightglass.maintenance.standing import Nights
from nightglass.night.publishing import renew_report
from nightglass.records import Assessment, Record
from nightglass.run_files import renew_file
from nightglass.storage import Folder

_log = logging.getLogger(__name__)
_PICTURE_SUFFIXES = (".jpg", ".png")
#: What is just being removed: ``<night>.<kind>``, beside the nights. A kill leaves it there, and the next one ends it.
_BEGUN = ".thinning"
_FILES = {"embeddings": {INDEX_NAME}, "scores": {SCORES_NAME, QUARANTINE_NAME, MANIFEST_NAME}}


class Thinned(Record):
    """What retention did: ``removed`` and ``kept`` name night, kind and reason, ``failures`` what it could not do."""

    removed: list[Due]
    kept: list[Due]
    removed_files: int
    freed_bytes: int
    failures: list[str]


def thin_nights(nights: Nights, retrainings: Folder, hold: Hold, *, dry_run: bool) -> Thinned:
    """Remove what is older than the collection's file says and nobody needs.

    Args:
        nights: The collection's.
        retrainings: The folder of its retrainings.
        hold: That nobody else rewrites the nights.
        dry_run: Only say what would go.

    Raises:
        StorageError: A store does not answer.
    """
    collection, options = nights.collection, nights.collection.retention
    today, removed = datetime.now(ZoneInfo(collection.timezone)).date(), _find_removed(nights)
    old = [night for night in nights.names() if list_old(night, removed.get(night, ()), options, today)]
    due = find_due(gather_needs(nights, old, removed, retrainings), options, today)
    kept = [each for each in due if each.kept_because]
    for each in kept:
        _log.info("%s %s: the %s stay: %s", collection.name, each.night, each.kind, each.kept_because)
    gone: list[Due] = []
    failures: list[str] = []
    files = freed = 0
    for each in due:
        if each.kept_because:
            continue
        hold.keep()
        found = _files_of(nights.folder.child(each.night), each.kind)
        if not found and nights.row(each.night) is None:
            continue  # of a night that is not published nothing notes that it went
        gone.append(each)
        files, freed = files + len(found), freed + sum(file.size_bytes for file in found)
        if not dry_run:
            failures += _try_remove(nights, each, found)
    return Thinned(removed=gone, kept=kept, removed_files=files, freed_bytes=freed, failures=failures)


def _try_remove(nights: Nights, due: Due, files: list[FoundFile]) -> list[str]:
    """Remove it; return why that could not be ended, as of a damaged night, which stops no other one."""
    try:
        with explaining_damage(nights.folder.child(due.night).url):
            _remove(nights, due, files)
    except NightglassError as error:
        if error.can_heal:
            raise
        _log.error("%s %s: the %s were not removed: %s", nights.collection.name, due.night, due.kind, error)
        return [f"{due.kind}: {error}"]
    return []


def _find_removed(nights: Nights) -> dict[str, set[str]]:
    """Return what went of each night, but for what a killed process had only begun to remove."""
    removed = nights.store.upkeep.removals(nights.collection.name)
    for begun in nights.folder.names(_BEGUN):
        night, _, kind = begun.partition(".")
        removed.get(night, set()).discard(kind)
    return removed


def _remove(nights: Nights, due: Due, files: list[FoundFile]) -> None:
    name, out, store = nights.collection.name, nights.folder.child(due.night), nights.store
    begun = f"{_BEGUN}/{due.night}.{due.kind}"
    nights.folder.write_bytes(begun, b"being removed")
    store.upkeep.note_removal(name, due.night, due.kind, due.after_days, datetime.now(UTC))
    for file in files:
        out.remove(file.path)
    if due.kind == "pictures" and nights.row(due.night) and out.exists(ASSESSMENT_NAME):
        assessment = Assessment.model_validate_json(out.read_bytes(ASSESSMENT_NAME))
        renew_report(out, nights.collection, assessment, store)
        renew_file(nights.settings, name, due.night, REPORT_NAME, out.read_bytes(REPORT_NAME))
    nights.folder.remove(begun)
    _log.info("%s %s: the %s were removed after %s days", name, due.night, due.kind, due.after_days)


def _files_of(out: Folder, kind: str) -> list[FoundFile]:
    """Return the night's files of a kind, those of its shadow and of other versions among them."""
    found = list_files(out)
    if kind == "pictures":
        return [file for file in found if file.path.endswith(_PICTURE_SUFFIXES)]
    return [file for file in found if posixpath.basename(file.path) in _FILES[kind]]
