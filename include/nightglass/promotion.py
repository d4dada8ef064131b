"""Make a version the champion, go back to an earlier one, and mend what a crash in between left behind.

The promotion log in SQL is the truth about who is champion; MLflow's alias ``champion`` follows it. An entry is
written first and the alias moved then: a crash in between leaves a log that is right, and the same call again,
or the next night's :func:`reconcile_champion`, moves the alias. So a promotion has exactly one entry.
"""

from nightglass.champion_log import check_was_champion, entry_key, find_done, version_before
from nightglass.champions import Champions
from nightglass.collections import Collection
from nightglass.errors import ChampionChangedError, ModelError
from nightglass.records import ModelRef, Record
from nightglass.settings import Settings
from nightglass.store import ChampionChange, Event, PromotionEvent


class Promotion(Record):
    """What a promotion or rollback came to.

    ``entry`` is the log's entry that it made, or had made before; without one it is the entry that made the
    version champion. ``champion`` is the champion now: another one where somebody promoted since.
    """

    entry: PromotionEvent
    champion: ModelRef
    is_new: bool


def promote(
    collection: Collection,
    version: str,
    settings: Settings,
    *,
    by: str,
    reason: str,
    run: str | None = None,
    instead_of: str | None = None,
) -> Promotion:
    """Make a registered version the champion; nothing happens twice.

    Args:
        collection: Whose model it is.
        version: The version's number.
        settings: Where the log and the registry are.
        by: Who promotes.
        reason: Why.
        run: The run that does it: when it comes again, it only mends the alias, whoever was promoted since.
        instead_of: The champion that the version was compared with; when there is another one, it is refused.

    Raises:
        ModelError: There is no such version.
        ChampionChangedError: The champion is not ``instead_of`` any more.
        InputError: Nobody is named, or no reason is given.
        StorageError: The database or MLflow does not answer.
    """
    with Champions.open(collection, settings) as champions:
        if not find_done(champions.read_log(), "promoted", version, run):
            version = champions.registry.find_version(champions.name, version).version
        known = champions.begin_log()
        change = _change(collection, "promoted", version, by, reason, run)

        def decide(history: list[PromotionEvent]) -> ChampionChange | None:
            nonlocal known
            known = history
            if find_done(history, "promoted", version, run) or (history and history[0].version == version):
                return None
            if instead_of is not None and instead_of != (history[0].version if history else None):
                now = history[0].version if history else "none"
                raise ChampionChangedError(
                    f"{champions.name}: expected champion {instead_of}, which {version} was compared with, got {now}: "
                    "it changed meanwhile; retrain"
                )
            return change

        history = champions.record(decide)
        return _finish(champions, find_done(history, "promoted", version, run) or history[0], known)


def roll_back(
    collection: Collection, version: str | None, settings: Settings, *, by: str, reason: str, run: str | None = None
) -> Promotion:
    """Make a version that was champion before the champion again.

    A version that never was is refused: to bring it in is a promotion, and the history should say so.

    Args:
        collection: Whose model it is.
        version: The version's number; None: the one that the champion replaced, see :func:`version_before`.
        settings: Where the log and the registry are.
        by: Who rolls back.
        reason: Why.
        run: The run that does it: when it comes again, it only mends the alias, whoever was promoted since.

    Raises:
        ModelError: There was no such champion, it is gone from the registry, or the champion changed meanwhile.
        InputError: Nobody is named, or no reason is given.
        StorageError: The database or MLflow does not answer.
    """
    with Champions.open(collection, settings) as champions:
        known = champions.begin_log()
        done = find_done(known, "rolled_back", version, run) or _find_interrupted(champions, known, version, by, reason)
        if done:
            return _finish(champions, done, known)
        target = version_before(known, champions.name) if version is None else version
        check_was_champion(known, target, champions.name)
        if target == known[0].version:
            return _finish(champions, known[0], known)
        champions.check_registered(next(event for event in known if event.version == target))
        change = _change(collection, "rolled_back", target, by, reason, run)

        def decide(history: list[PromotionEvent]) -> ChampionChange | None:
            if history[0].entry != known[0].entry:
                raise ModelError(
                    f"{champions.name}: expected champion {known[0].version}, which was to be rolled back, got "
                    f"{history[0].version}: it changed this moment; look at `nightglass models history` and try again"
                )
            return change

        return _finish(champions, champions.record(decide)[0], known)


def reconcile_champion(collection: Collection, settings: Settings) -> ModelRef | None:
    """Let the alias follow the log and return the champion; None where there is none yet.

    A champion that was registered before the log existed becomes its first entry. An alias that was moved by
    hand goes back to what the log says, with a line in Nightglass's own log that tells so: else whoever may
    write to MLflow could bring in a model without gates, approval or reason.

    Raises:
        ModelError: The version that the log or the alias names is gone from the registry.
        StorageError: The database or MLflow does not answer.
    """
    with Champions.open(collection, settings) as champions:
        if champions.begin_log():
            return ModelRef(name=champions.name, version=champions.follow_log().version)
        alias = champions.registry.read_champion(champions.name).version
        if alias is not None:
            champions.registry.find_version(champions.name, alias)
        return None


def appoint_first(collection: Collection, version: str, settings: Settings, *, by: str) -> bool:
    """Make a new version the champion when it is the model's first; return whether it is.

    It also is when the log's champion is gone and the registry has no other version: MLflow was started afresh.
    """
    with Champions.open(collection, settings) as champions:
        known = champions.begin_log()
        if known and not _is_alone(champions, version, known[0]):
            return False
        change = _change(collection, "promoted", version, by, "first version of the model", None)
        newest = known[0].entry if known else None
        history = champions.record(
            lambda log: change if (log[0].entry if log else None) == newest else None  # else another was first
        )
        champions.follow_log()
        return history[0].version == version


def _change(
    collection: Collection, event: Event, version: str, by: str, reason: str, run: str | None
) -> ChampionChange:
    return ChampionChange(collection=collection.name, event=event, version=version, by=by, reason=reason, run=run)


def _finish(champions: Champions, entry: PromotionEvent, known: list[PromotionEvent]) -> Promotion:
    champion = ModelRef(name=champions.name, version=champions.follow_log().version)
    is_new = all(entry.entry != event.entry for event in known)
    return Promotion(entry=entry, champion=champion, is_new=is_new)


def _find_interrupted(
    champions: Champions, history: list[PromotionEvent], version: str | None, by: str, reason: str
) -> PromotionEvent | None:
    """Return the newest entry when it is this very rollback, whose alias did not move yet.

    Without a version, the same command after a crash would else go back one further.
    """
    if version is not None or not history:
        return None
    newest = history[0]
    if (newest.event, newest.by, newest.reason) != ("rolled_back", by, reason):
        return None
    return None if champions.registry.read_champion(champions.name).entry == entry_key(newest) else newest


def _is_alone(champions: Champions, version: str, newest: PromotionEvent) -> bool:
    if [found.version for found in champions.registry.list_versions(champions.name, 2)] != [version]:
        return False
    try:
        champions.check_registered(newest)
    except ModelError:
        return True
    return False
