"""The champion of a collection in its two places: the promotion log, which is right, and MLflow's alias."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from nightglass.champion_log import entry_key
from nightglass.collections import Collection
from nightglass.errors import ModelError, StorageError
from nightglass.registered_models import ChampionAlias
from nightglass.registry import Registry
from nightglass.retraining.records import Outcome
from nightglass.settings import Settings
from nightglass.store import ChampionChange, PromotionEvent, Store

#: A version is older than its promotion, but the database's and MLflow's clocks may differ.
_CLOCK_DIFFERENCE = timedelta(minutes=10)
_log = logging.getLogger(__name__)

Decide = Callable[[list[PromotionEvent]], ChampionChange | None]


class Champions:
    """The promotion log and the alias of one collection's model.

    The log is written first. Whoever moves the alias reads the log again afterwards, so that of several
    processes the last one to move it leaves it at the newest entry.
    """

    def __init__(self, collection: Collection, registry: Registry, store: Store) -> None:
        self.collection = collection
        self.name = collection.model_name
        self.registry = registry
        self._store = store

    @classmethod
    @contextmanager
    def open(cls, collection: Collection, settings: Settings) -> Iterator["Champions"]:
        """Open registry and results database, whose tables are brought up to date."""
        with Store.connect(settings.database_url, settings.sql_dir) as store:
            store.migrate()
            yield cls(collection, Registry.open(settings), store)

    def read_log(self) -> list[PromotionEvent]:
        """Return the model's history, newest first."""
        return self._store.promotions_of_model(self.name)

    def retraining_outcomes(self) -> dict[str, Outcome]:
        """Return what came of the last retraining of every version that was a challenger."""
        return self._store.retraining_outcomes(self.name)

    def record(self, decide: Decide) -> list[PromotionEvent]:
        """Append to the log what ``decide`` makes of it, and return the history, newest first."""
        return self._store.change_champion(self.name, decide, datetime.now(UTC))

    def begin_log(self) -> list[PromotionEvent]:
        """Return the history; a champion from before the log becomes its first entry.

        An alias that somebody moved by hand is told, and an alias to a version that is gone too.
        """
        history, alias = self.read_log(), self.registry.read_champion(self.name)
        if history:
            self._tell_moved_by_hand(alias, history[0])
        if history or alias.version is None:
            return history
        try:
            version = self.registry.find_version(self.name, alias.version).version
        except ModelError as error:
            _log.warning("%s: the alias champion points to a version that is gone: %s", self.name, error)
            return history
        first = ChampionChange(
            collection=self.collection.name,
            event="promoted",
            version=version,
            by="nightglass",
            reason="it was the champion in MLflow when the promotion log began",
        )
        return self.record(lambda known: None if known else first)

    def follow_log(self) -> PromotionEvent:
        """Point the alias to the newest entry's version and return that entry.

        Raises:
            ModelError: The registry does not have the version.
            StorageError: MLflow does not answer; the log stands, and the next call moves the alias.
        """
        newest = self.read_log()[0]
        try:
            while True:
                self.check_registered(newest)
                alias = self.registry.read_champion(self.name)
                if alias == ChampionAlias(version=newest.version, entry=entry_key(newest)):
                    return newest
                if alias.version != newest.version:
                    _log.info("%s: the alias champion moves from %s to %s", self.name, alias.version, newest.version)
                self.registry.set_champion(self.name, newest.version, entry=entry_key(newest))
                newest = self.read_log()[0]
        except StorageError as error:
            logged = f"the promotion log has {newest.version} as champion, MLflow's alias follows with the next try"
            raise type(error)(f"{self.name}: {logged}: {error}") from error

    def check_registered(self, event: PromotionEvent) -> None:
        """Make sure that the registry has the very version that an entry is about.

        Raises:
            ModelError: It does not, or it has another one of this number: a registry that was started afresh.
        """
        said = f"the promotion log made {event.version} the champion at {event.at}"
        command = f"nightglass models promote --collection {self.collection.name} --version N --reason WHY"
        mend = f"restore MLflow, or: {command}"
        try:
            found = self.registry.find_version(self.name, event.version)
        except ModelError as error:
            raise ModelError(f"{self.name}: {said}, but {error}; {mend}") from error
        created = datetime.fromisoformat(found.created_at)
        if created > datetime.fromisoformat(event.at) + _CLOCK_DIFFERENCE:
            got = f"MLflow's version {event.version} was registered later, at {found.created_at}"
            raise ModelError(f"{self.name}: {said}, but {got}: it is another one; {mend}")

    def _tell_moved_by_hand(self, alias: ChampionAlias, newest: PromotionEvent) -> None:
        # Where the alias has not been moved for the newest entry yet, a crash is the cause.
        if alias.entry == entry_key(newest) and alias.version != newest.version:
            _log.warning(
                "%s: the alias champion was moved by hand to %s and now follows the promotion log again, which has %s "
                "(%s by %s at %s); to make another version the champion: nightglass models promote",
                *(self.name, alias.version or "nothing", newest.version, newest.event, newest.by, newest.at),
            )
