"""Whether a night's score folder holds what was published of the night, and nothing newer or older.

A night that is scored again loses its assessment before the first of its scores is replaced. It gets the new one after
the last of them, and its rows after that. So what is read of a folder first and found settled then is what was
published.
"""

import hashlib
import logging
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from starlette.exceptions import HTTPException

from nightglass.engine.results import ASSESSMENT_NAME
from nightglass.errors import InputError
from nightglass.records import Assessment
from nightglass.storage import Folder, explaining
from nightglass.store import NightRow, results_of_file

_log = logging.getLogger(__name__)
_KEPT_NIGHTS = 10_000  # of each some 500 bytes
_STAMPED = ("size", "mtime", "ino", "ETag", "LastModified")
_by_stamp: LRUCache[tuple[str, ...], frozenset[str]] = LRUCache(_KEPT_NIGHTS)
_lock = Lock()


def is_settled(folder: Folder, row: NightRow) -> bool:
    """Tell whether the folder of a night holds what was published of it.

    It does not while the night is scored again, until that is published too, nor where its assessment is damaged.

    Raises:
        StorageError: The store does not answer.
    """
    try:
        return row.result_sha256 in _find_results(folder)
    except ValueError as error:
        _log.warning("%s/%s: expected an assessment: %s", folder.url, ASSESSMENT_NAME, _one_line(error))
        return False
    except InputError:
        return False


def check_settled(folder: Folder, row: NightRow) -> None:
    """Raise HTTPException 409 unless the folder of a night holds what was published of it."""
    if not is_settled(folder, row):
        raise _in_work(row)


def read_settled(folder: Folder, row: NightRow) -> bytes:
    """Return the assessment of a published night, as it lies in its folder.

    Raises:
        HTTPException: 409: the night is being scored again; 503: its assessment is damaged.
        StorageError: The store does not answer.
    """
    try:
        assessed = folder.read_bytes(ASSESSMENT_NAME)
    except InputError as error:
        raise _in_work(row) from error
    try:
        results = _name_results(assessed)
    except ValueError as error:
        raise damaged(row, f"{folder.url}/{ASSESSMENT_NAME}: {_one_line(error)}") from error
    if row.result_sha256 not in results:
        raise _in_work(row)
    return assessed


def read_assessment(folder: Folder, row: NightRow) -> Assessment:
    """Return the assessment of a published night; raises as `read_settled`."""
    return Assessment.model_validate_json(read_settled(folder, row))


def damaged(row: NightRow, problem: str) -> HTTPException:
    """Return the answer where a file of the night is not what it should be; only the log says which and where."""
    _log.error("%s %s: %s", row.collection, row.night, problem)
    told = f"{row.collection} {row.night}: the night's results are damaged; the server's log says more"
    return HTTPException(503, told)


def _in_work(row: NightRow) -> HTTPException:
    told = f"{row.collection} {row.night}: the night is being scored again; look again in some minutes"
    return HTTPException(409, told)


def _one_line(error: ValueError) -> str:
    return " ".join(str(error).split())[:300]


def _find_results(folder: Folder) -> frozenset[str]:
    """Return what the assessment of a folder can be published as; the file is read when it changed.

    Raises:
        InputError: There is none.
        ValueError: It is no assessment.
    """
    with explaining(f"{folder.url}/{ASSESSMENT_NAME}"):
        info: dict[str, Any] = folder.fs.info(folder.path(ASSESSMENT_NAME))
    stamp = (folder.url, *(str(info.get(name)) for name in _STAMPED))
    with _lock:
        known = _by_stamp.get(stamp)
    if known is None:
        known = _name_results(folder.read_bytes(ASSESSMENT_NAME))
        with _lock:
            _by_stamp[stamp] = known
    return known


@cached(LRUCache(_KEPT_NIGHTS), key=lambda assessed: hashlib.sha256(assessed).digest(), lock=Lock())
def _name_results(assessed: bytes) -> frozenset[str]:
    return results_of_file(assessed)
