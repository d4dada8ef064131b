"""Which nights can be compared with a vector: those that were scored with the network that made it."""

import logging

from nightglass.errors import StorageError
from nightglass.pages.asking import ask_mlflow
from nightglass.records import ModelRef
from nightglass.settings import Settings
from nightglass.similar.networks import Network, find_network

_log = logging.getLogger(__name__)
#: The first question of a process imports MLflow, and copies two small files.
_MOST_SECONDS = 10.0


class Comparer:
    """The networks that one search asked for; once MLflow does not answer, the search asks it nothing more."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[ModelRef, Network | None] = {}
        self._silent = False

    def compare(self, made_by: ModelRef, scored_by: ModelRef) -> tuple[str, bool]:
        """Return why a night's scores cannot be compared with a vector, or nothing, and whether one version made both.

        Args:
            made_by: The version that made the vector.
            scored_by: The version that scored the night.
        """
        if scored_by == made_by:
            return "", True
        try:
            here, there = self._find(made_by), self._find(scored_by)
        except (StorageError, TimeoutError) as error:
            if not self._silent:
                _log.warning("%s is not compared with %s: %s", scored_by.uri, made_by.uri, error)
            self._silent = True
            why = "MLflow does not answer, and the server's log says more"
            return f"nobody can tell whether version {scored_by.version} had the same network: {why}", False
        if here is None or there is None:
            told = f"nobody can tell whether version {scored_by.version} had the same network: it is not there any more"
            return told, False
        return ("" if here == there else f"version {scored_by.version} scored it with another network"), False

    def _find(self, ref: ModelRef) -> Network | None:
        if ref not in self._known:
            if self._silent:
                raise StorageError("MLflow did not answer a moment ago")
            about = f"the network of {ref.uri}"
            found = ask_mlflow(about, self._settings, lambda: find_network(ref, self._settings), _MOST_SECONDS)
            self._known[ref] = found
        return self._known[ref]
