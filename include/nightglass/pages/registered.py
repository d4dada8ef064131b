"""What MLflow says of a model's versions, without a page ever waiting long for an MLflow that is slow or down."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache

from nightglass.pages.asking import ask_mlflow
from nightglass.settings import Settings
from nightglass.version_details import VersionDetails, read_details

#: The first question of a process imports MLflow; a later one is answered within a tenth of a second, or waits for
#: whoever is writing.
_FIRST_SECONDS, _SECONDS = 6.0, 2.0
_MOST_VERSIONS = 100
_Key = tuple[str, str]
_lock = Lock()
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
    """Ask MLflow for a model's versions.

    Nothing is raised: what the database knows of the versions is a page without this.
    """
    key = settings.tracking_url, name
    with _lock:
        known = _last.get(key)
    seconds = _FIRST_SECONDS if known is None else _SECONDS
    try:
        return Registered(ask_mlflow(f"versions of {name}", settings, lambda: _read(key, settings), seconds))
    except TimeoutError:
        return Registered(known or (), "MLflow has not answered yet: load the page again in a moment", is_late=True)
    except Exception:  # noqa: BLE001  it is in the log, with its traceback where it is a bug
        return Registered(known or (), "MLflow does not answer: the reason is in the log of Airflow's API server")


def _read(key: _Key, settings: Settings) -> Sequence[VersionDetails]:
    found: Sequence[VersionDetails] = ()
    try:
        found = read_details(key[1], settings, _MOST_VERSIONS)
    finally:
        with _lock:
            if found or key not in _last:
                _last[key] = found
    return found
