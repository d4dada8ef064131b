"""The files of a score folder: which there are, and how a new set of them takes the place of an old one."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME
from nightglass.engine.shards import SHARDS_NAME
from nightglass.engine.top_anomalies import MAPS_FOLDER
from nightglass.errors import InputError, StorageError
from nightglass.images.manifest import Manifest
from nightglass.images.manifest_file import MANIFEST_NAME, read_manifest
from nightglass.storage import Folder, explaining

SUMMARY_NAME, TOP_NAME = "summary.json", "top_anomalies.json"
VALIDATION_NAME, ASSESSMENT_NAME, REPORT_NAME = "validation.json", "assessment.json", "report.html"
#: What a challenger made of the night that shadowed the champion, and the folder of its scores.
SHADOW_NAME, SHADOW_FOLDER = "shadow.json", "shadow"
#: What other versions made of the night afterwards: a folder each.
RESCORED_FOLDER = "rescored"
LOCK_NAME = ".lock"
_STAGING = ".results"
_SCORED = (SCORES_NAME, QUARANTINE_NAME, INDEX_NAME, TOP_NAME, MAPS_FOLDER)
_REPLACED = frozenset({ASSESSMENT_NAME, REPORT_NAME, SHADOW_NAME})
_JUDGED = (ASSESSMENT_NAME, VALIDATION_NAME, REPORT_NAME)


@contextmanager
def only_writer(out: Folder) -> Iterator[None]:
    """Refuse a second run into the same local folder; remote stores have no such lock."""
    if not out.is_local:
        yield
        return
    path = Path(out.path(LOCK_NAME))
    with explaining(out.url):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"--out: expected to be the only run that writes {out.url}, another one does") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def read_summary(out: Folder) -> bytes | None:
    """Return the summary of the results that are in place; None where none are, or not all of them."""
    try:
        return out.read_bytes(SUMMARY_NAME)
    except InputError:
        return None


@dataclass(frozen=True)
class Standing:
    """What stood in a score folder when the work on a new set began: its summary, and what was judged of it."""

    summary: bytes | None
    judged: frozenset[str]


def read_standing(out: Folder) -> Standing:
    """Return what stands in a score folder now."""
    return Standing(read_summary(out), _REPLACED & set(out.names()))


def stage_results(out: Folder) -> Folder:
    """Return a folder in which one attempt, and nobody else, writes a new set of results."""
    return out.child(f"{_STAGING}/{secrets.token_hex(8)}")


def replace_results(out: Folder, staged: Folder, summary: bytes, *, old: Standing) -> None:
    """Put a complete new set in the place of the ``old`` one.

    What was judged of the old one goes before anything of it: a folder that has an assessment has the scores that it
    is about. What was not there when the work began is not of the old one, and stays. The validation stays too, which
    is of the images. The summary goes next and comes last: a folder that has one is complete.

    Raises:
        StorageError: The set is not whole: the night was published meanwhile, and tidied up.
    """
    missing = {SCORES_NAME, QUARANTINE_NAME, INDEX_NAME, TOP_NAME} - set(staged.names())
    if missing:
        raise StorageError(f"{staged.url}: expected a complete set of results, got none of {sorted(missing)}")
    for name in sorted(old.judged):
        out.remove(name)
    if old.summary is not None:
        out.remove(SUMMARY_NAME)
    for name in _SCORED:
        out.take(staged, name)
    out.write_bytes(SUMMARY_NAME, summary)
    discard_results(staged)


def discard_results(staged: Folder) -> None:
    """Remove what an attempt has staged; where the store does not answer, it goes when the night is published."""
    with suppress(StorageError):
        staged.remove()


def settle_results(out: Folder, staged: Folder, summary: dict[str, Any], *, old: Standing) -> dict[str, Any]:
    """Put a complete new set in place, unless another writer has put one there meanwhile; return the summary in place.

    A worker that was given up for dead may come back when its successor has long published the night. The two have
    made the same of the same images, but taking the one set away for the other would take the judgement with it.

    Args:
        out: The score folder.
        staged: The new set.
        summary: Its summary.
        old: What stood there when the work on it began.

    Raises:
        InputError: Another writer has put other results there: of another model, or of other images.
    """
    found = read_summary(out)
    if found is None or found == old.summary:
        replace_results(out, staged, json.dumps(summary, indent=1).encode(), old=old)
        return summary
    discard_results(staged)
    other: dict[str, Any] = json.loads(found)
    if (other["score_key"], other["top_k"]) != (summary["score_key"], summary["top_k"]):
        raise InputError(f"{out.url}: expected to be the only run of the night, another one wrote other results")
    return other


def forget_shadow(out: Folder) -> None:
    """Remove what a challenger made of the night."""
    out.remove(SHADOW_NAME)
    out.remove(SHADOW_FOLDER)


def forget_other_results(out: Folder, manifest: Manifest) -> None:
    """Remove what an earlier run left of other images, so that nothing of it is taken for this one's."""
    if out.exists(MANIFEST_NAME) and read_manifest(out, rows=range(0)).data_version == manifest.data_version:
        return
    for name in (*_JUDGED, SUMMARY_NAME, *_SCORED, RESCORED_FOLDER):
        out.remove(name)
    forget_shadow(out)


def forget_judgement(out: Folder) -> None:
    """Remove what belongs to a night of Airflow; plain scores have none."""
    for name in (*_JUDGED, RESCORED_FOLDER):
        out.remove(name)
    forget_shadow(out)


def remove_shards(out: Folder) -> None:
    """Remove the shards and what killed writers left; only when nobody writes into ``out``."""
    for name in (SHARDS_NAME, _STAGING):
        out.remove(name)
    for name in out.names():
        if name.startswith(".writing-"):
            out.remove(name)


def check_own(out: Folder) -> None:
    """Raise InputError when ``out`` is a file, or holds files but no scores: they are somebody else's."""
    if out.is_local and Path(out.root).is_file():
        raise InputError(f"--out: expected a folder, got the file {out.url}")
    names = set(out.names()) - {SHARDS_NAME, LOCK_NAME}
    if names and not names & {MANIFEST_NAME, SUMMARY_NAME}:
        some = ", ".join(sorted(names)[:3])
        raise InputError(f"--out: expected a new folder or one with earlier scores, got {out.url} with {some}")
