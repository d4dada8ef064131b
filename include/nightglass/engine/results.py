"""The files of a score folder: which there are, and how a new set of them takes the place of an old one."""

from pathlib import Path

from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME
from nightglass.engine.shards import SHARDS_NAME
from nightglass.engine.top_anomalies import MAPS_FOLDER
from nightglass.errors import InputError
from nightglass.images.manifest import Manifest
from nightglass.images.manifest_file import MANIFEST_NAME, read_manifest
from nightglass.storage import Folder

SUMMARY_NAME, TOP_NAME = "summary.json", "top_anomalies.json"
VALIDATION_NAME, ASSESSMENT_NAME, REPORT_NAME = "validation.json", "assessment.json", "report.html"
#: What a challenger made of the night that shadowed the champion, and the folder of its scores.
SHADOW_NAME, SHADOW_FOLDER = "shadow.json", "shadow"
LOCK_NAME = ".lock"
_STAGING = ".results"
_SCORED = (SCORES_NAME, QUARANTINE_NAME, INDEX_NAME, TOP_NAME, MAPS_FOLDER)
_JUDGED = (ASSESSMENT_NAME, VALIDATION_NAME, REPORT_NAME)


def stage_results(out: Folder) -> Folder:
    """Return an empty folder in which a new set of results is written."""
    out.remove(_STAGING)
    return out.child(_STAGING)


def replace_results(out: Folder, staged: Folder, summary: bytes) -> None:
    """Put a complete new set in the place of the old one.

    What was judged of the old one goes before anything of it: a folder that has an assessment has the scores that it
    is about. The validation stays, which is of the images. The summary goes next and comes last: a folder that has one
    is complete.
    """
    for name in (ASSESSMENT_NAME, REPORT_NAME, SHADOW_NAME, SUMMARY_NAME):
        out.remove(name)
    for name in _SCORED:
        out.take(staged, name)
    out.write_bytes(SUMMARY_NAME, summary)
    out.remove(_STAGING)


def forget_shadow(out: Folder) -> None:
    """Remove what a challenger made of the night."""
    out.remove(SHADOW_NAME)
    out.remove(SHADOW_FOLDER)


def forget_other_results(out: Folder, manifest: Manifest) -> None:
    """Remove what an earlier run left of other images, so that nothing of it is taken for this one's."""
    if out.exists(MANIFEST_NAME) and read_manifest(out, rows=range(0)).data_version == manifest.data_version:
        return
    for name in (*_JUDGED, SUMMARY_NAME, *_SCORED):
        out.remove(name)
    forget_shadow(out)


def forget_judgement(out: Folder) -> None:
    """Remove what belongs to a night of Airflow; plain scores have none."""
    for name in _JUDGED:
        out.remove(name)
    forget_shadow(out)


def remove_shards(out: Folder) -> None:
    """Remove the shards and what killed writers left; only when nobody writes into ``out``."""
    out.remove(SHARDS_NAME)
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
