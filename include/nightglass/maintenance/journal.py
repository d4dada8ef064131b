"""Requests to delete an image, noted beside the nights: what is restored from an older backup loses the image again."""

from pydantic import Field, ValidationError

from nightglass.errors import InputError
from nightglass.maintenance.deletion_records import DeletionRequest
from nightglass.maintenance.redacted_night import NightPlan
from nightglass.records import Record
from nightglass.storage import Folder

_FOLDER = ".deletions"


class Progress(Record):
    """A request and what was done of it, however often it was begun: what went of each night, by its kind.

    ``plans`` say what follows for a night's rows, where these come back from an older backup.
    """

    request: DeletionRequest
    nights: dict[str, dict[str, int]] = Field(default_factory=dict)
    plans: dict[str, NightPlan] = Field(default_factory=dict)
    others: dict[str, int] = Field(default_factory=dict)
    models: list[str] = Field(default_factory=list)

    @property
    def removed(self) -> dict[str, int]:
        """What went of all nights and of everything else, by its kind."""
        total = dict(self.others)
        for counts in self.nights.values():
            for kind, count in counts.items():
                total[kind] = total.get(kind, 0) + count
        return {kind: count for kind, count in total.items() if count}

    def with_night(self, night: str, plan: NightPlan, counts: dict[str, int]) -> "Progress":
        """Return it with a night more; of one that was noted before the higher counts stay."""
        plans = self.plans | {night: plan.model_copy(update={"originals": []})}
        nights = self.nights | {night: _higher(self.nights.get(night, {}), counts)}
        return self.model_copy(update={"nights": nights, "plans": plans})

    def with_others(self, counts: dict[str, int], models: list[str]) -> "Progress":
        """Return it with what went beside the nights."""
        names = sorted({*self.models, *models})
        return self.model_copy(update={"others": _higher(self.others, counts), "models": names})


class Journal:
    """The requests of one collection; ``nights`` is the folder of its nights."""

    def __init__(self, nights: Folder) -> None:
        self._nights = nights

    def has(self, key: str) -> bool:
        """Tell whether a request was noted."""
        return self._nights.exists(_name(key))

    def open(self, request: DeletionRequest) -> Progress:
        """Return what was done of a request until now, and note it where it is new."""
        if self.has(request.key):
            return self.read(request.key)
        progress = Progress(request=request)
        self.write(progress)
        return progress

    def write(self, progress: Progress) -> None:
        """Note what was done."""
        self._nights.write_bytes(_name(progress.request.key), progress.model_dump_json(indent=1).encode())

    def list_keys(self) -> list[str]:
        """Return the keys of every request that was noted."""
        names = self._nights.names(_FOLDER)
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def read(self, key: str) -> Progress:
        """Return what was done of a request.

        Raises:
            InputError: The file is damaged.
        """
        try:
            return Progress.model_validate_json(self._nights.read_bytes(_name(key)))
        except ValidationError as error:
            where = f"{self._nights.url}/{_name(key)}"
            raise InputError(f"{where}: expected a request to delete an image, got another file") from error


def _name(key: str) -> str:
    return f"{_FOLDER}/{key}.json"


def _higher(before: dict[str, int], counts: dict[str, int]) -> dict[str, int]:
    return {kind: max(before.get(kind, 0), counts.get(kind, 0)) for kind in {*before, *counts}}
