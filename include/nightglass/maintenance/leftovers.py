"""What killed processes left behind: half-written files, shards of given-up runs, aborted uploads, old copies."""

import contextlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nightglass.engine.results import RESCORED_FOLDER, SHADOW_FOLDER, only_writer
from nightglass.errors import InputError
from nightglass.maintenance.hold import Hold
from nightglass.maintenance.listing import list_files
from nightglass.maintenance.standing import Nights
from nightglass.settings import Settings
from nightglass.storage import Folder, explaining

_log = logging.getLogger(__name__)
#: No process writes one file, or one upload, for so long.
TEMPORARY_KEPT = timedelta(days=1)
#: A copy of a detector that nobody loaded for so long is fetched again when somebody does.
COPIES_KEPT = timedelta(days=30)
_TEMPORARY = re.compile(r"nightglass-[a-z0-9_]{8}")  # as tempfile names them
_UNFINISHED = (".shards", ".results", ".writing-")


def remove_unfinished(nights: Nights, hold: Hold, now: datetime, *, dry_run: bool) -> int:
    """Remove what runs that were given up left in the nights' folders; return how many files.

    A local folder that somebody is writing into is left alone, such as one that a backfill by hand goes on in.

    Args:
        nights: The collection's; nobody writes them.
        hold: That nobody begins to.
        now: The collection's file says how old the youngest of a night's leftovers must be.
        dry_run: Only count.
    """
    limit = now - timedelta(days=nights.collection.retention.unfinished_days)
    removed = 0
    for night in nights.names():
        hold.keep()
        for out in _scored_folders(nights.folder.child(night)):
            removed += _remove_leftovers(out, limit, dry_run=dry_run)
    return removed


def _remove_leftovers(out: Folder, limit: datetime, *, dry_run: bool) -> int:
    unfinished = {name: list_files(out, name) for name in out.names() if name.startswith(_UNFINISHED)}
    old = {name: files for name, files in unfinished.items() if all(file.changed_at <= limit for file in files)}
    if old and not dry_run:
        try:
            with only_writer(out):
                for name in old:
                    out.remove(name)
        except InputError as error:
            _log.info("its unfinished files stay: %s", error)
            return 0
    return sum(map(len, old.values()))


def _scored_folders(night: Folder) -> Iterator[Folder]:
    """Yield the folders of a night that scores are written into: its own, its shadow's, and those of backfills."""
    yield night
    there = set(night.names())
    if SHADOW_FOLDER in there:
        yield night.child(SHADOW_FOLDER)
    if RESCORED_FOLDER in there:
        for version in night.names(RESCORED_FOLDER):
            yield night.child(f"{RESCORED_FOLDER}/{version}")


def remove_temporary(settings: Settings, now: datetime, *, dry_run: bool) -> int:
    """Remove this machine's temporary files and old copies of detectors; return how many of either."""
    removed = 0
    for path, kept in _list_temporary(settings):
        if _changed_at(path) < now - kept:
            removed += 1
            if not dry_run:
                _remove(path)
    return removed


def abort_uploads(folder: Folder, now: datetime, *, dry_run: bool) -> int:
    """Abort uploads in several parts that nobody finished, whose parts take room that no listing shows."""
    if folder.is_local:
        return 0
    bucket, _, inside = folder.root.partition("/")
    aborted = 0
    with explaining(folder.url):
        # With the slash: what is beside the folder and begins as it does is somebody else's.
        for upload in _list_uploads(folder, bucket, f"{inside}/" if inside else ""):
            if upload["Initiated"].astimezone(UTC) > now - TEMPORARY_KEPT:
                continue
            aborted += 1
            if not dry_run:
                folder.fs.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
    return aborted


def _list_uploads(folder: Folder, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the uploads that go on, page by page: a store tells of a thousand at once."""
    start: dict[str, str] = {}
    while True:
        page: dict[str, Any] = folder.fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **start)
        yield from page.get("Uploads") or []
        # S3 gives both; SeaweedFS goes by the upload alone, and finds nothing behind a key.
        start = {name: page[f"Next{name}"] for name in ("KeyMarker", "UploadIdMarker") if page.get(f"Next{name}")}
        if not page.get("IsTruncated") or not start:
            return


def _list_temporary(settings: Settings) -> Iterator[tuple[Path, timedelta]]:
    for path in Path(tempfile.gettempdir()).glob("nightglass-*"):
        # Only what this user's processes made: somebody may have a folder of such a name.
        if _TEMPORARY.fullmatch(path.name) and _is_own(path):
            yield path, TEMPORARY_KEPT
    for path in (settings.home / "challengers").glob("*"):
        yield path, TEMPORARY_KEPT
    for path in (settings.home / "models").glob("*/*/*"):
        yield path, TEMPORARY_KEPT if path.name.startswith(".downloading-") else COPIES_KEPT


def _is_own(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid()


def _changed_at(path: Path) -> datetime:
    """Return when a file or anything in a folder was last written or, for a copy of a detector, read."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    newest = 0.0
    for file in files:
        with contextlib.suppress(OSError):  # somebody else removes it
            found = file.stat()
            newest = max(newest, found.st_mtime, found.st_atime if file.is_file() else 0.0)
    return datetime.fromtimestamp(newest, UTC)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError as error:  # another user's; the next one who may removes it
        _log.warning("%s could not be removed: %s", path, error)
