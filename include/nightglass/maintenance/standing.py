"""The nights of a collection as maintenance finds them: which there are, and which it may rewrite now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from nightglass.collections import Collection
from nightglass.engine.results import ASSESSMENT_NAME, LOCK_NAME
from nightglass.engine.shards import SHARDS_NAME
from nightglass.errors import InputError
from nightglass.maintenance.listing import list_files
from nightglass.settings import Settings
from nightglass.storage import Folder
from nightglass.store import NightRow, Store, results_of_file

#: Tells, once nobody can begin a run any more, whether none goes on.
IsIdle = Callable[[], bool]


def nobody_knows() -> bool:
    """Return False: whoever asks does not see Airflow's runs."""
    return False


@dataclass(frozen=True)
class Nights:
    """All nights of a collection.

    ``is_idle``: whoever asks knows that no run of the collection goes on, so that what is unfinished was given up.
    """

    collection: Collection
    settings: Settings
    folder: Folder
    store: Store
    is_idle: bool

    def names(self) -> list[str]:
        """Return the nights that have a folder, oldest first; one that is named otherwise is somebody else's."""
        return [name for name in self.folder.names() if _is_night(name)]

    def row(self, night: str) -> NightRow | None:
        """Return what was published of a night."""
        return self.store.nights.find(self.collection.name, night)

    def why_in_work(self, night: str, row: NightRow | None) -> str | None:
        """Return why a night may be being scored; None where its files may be rewritten."""
        if self.is_idle:
            return None
        out = self.folder.child(night)
        if self.store.upkeep.is_in_work(self.collection.name, night, datetime.now(UTC)):
            return "a run works on it, or died less than a day ago"
        if row is None:
            return "it is not published"
        # Some stores go on listing a folder that is empty.
        if any(list_files(out, name) for name in {SHARDS_NAME, LOCK_NAME} & set(out.names())):
            return "it is being scored, or a run of it was given up"
        if not holds_published(out, row):
            return "its folder holds something else than what was published"
        return None


def _is_night(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def holds_published(out: Folder, row: NightRow) -> bool:
    """Tell whether a night's folder holds the very assessment that was published."""
    try:
        return row.result_sha256 in results_of_file(out.read_bytes(ASSESSMENT_NAME))
    except (InputError, ValueError):
        return False
