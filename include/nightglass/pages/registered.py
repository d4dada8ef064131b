"""What MLflow says of a model's versions, without a page ever waiting long for an MLflow that is slow or down."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread

from cachetools import LRUCache

from nightglass.errors import NightglassError
from nightglass.settings import Settings
from nightglass.version_details import VersionDetails, read_details

_log = logging.getLogger(__name__)
#: The first question of a process imports MLflow; a later one is answered within a tenth of a second, or waits for
#: whoever is writing.
_FIRST_SECONDS, _SECONDS = 6.0, 2.0
_MOST_VERSIONS = 100
_Key = tuple[str, str]
_lock = Lock()
_going: "dict[_Key, Future[list[VersionDetails]]]" = {}
_last: "LRUCache[_Key, Sequence[VersionDetails]]" = LRUCache(64)


@dataclass(frozen=True)
class Registered:
    """The newest versions of a model, newest first; where there is a ``problem``, those that were known before.

    ``is_late``: the answer is still to come.
    """

    versions: Sequence[VersionDetails]
    problem: str = ""
    is_late: bool = False


def read_registered(name: str, settings: Settings) -> Registered:
    """Ask MLflow in a thread of its own; requests that come meanwhile wait for the same answer.

    Nothing is raised: what the database knows of the versions is a page without this.
    """
    key = settings.tracking_url, name
    with _lock:
        known = _last.get(key)
        reading = _going.get(key)
        if reading is None:
            reading = _going[key] = Future()
            Thread(target=_read, args=(key, settings, reading), name="nightglass-mlflow", daemon=True).start()
    try:
        return Registered(reading.result(_FIRST_SECONDS if known is None else _SECONDS))
    except TimeoutError:
        return Registered(known or (), "MLflow has not answered yet: load the page again in a moment", is_late=True)
    except NightglassError:
        return Registered(known or (), "MLflow does not answer: the reason is in the log of Airflow's API server")


def _read(key: _Key, settings: Settings, reading: "Future[list[VersionDetails]]") -> None:
    found: Sequence[VersionDetails] = ()
    try:
        found = read_details(key[1], settings, _MOST_VERSIONS)
    except Exception as error:  # noqa: BLE001  whoever waits for it is told
        _log.error("%s: %s", key[1], error, exc_info=not isinstance(error, NightglassError))
        reading.set_exception(error)
    else:
        reading.set_result(list(found))
    with _lock:
        if found or key not in _last:
            _last[key] = found
        del _going[key]
