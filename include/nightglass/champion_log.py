"""What a model's promotion log says: pure questions to its history, which comes newest first."""

from collections.abc import Sequence

from nightglass.errors import ModelError
from nightglass.store import Event, PromotionEvent

History = Sequence[PromotionEvent]


def find_done(history: History, event: Event, version: str | None, run: str | None) -> PromotionEvent | None:
    """Return the entry that this run has made already, however many came after it.

    A run that is cleared may fit another challenger, so that the version counts too where it is known.
    """
    if run is None:
        return None
    same = (e for e in history if (e.run, e.event) == (run, event) and version in {None, e.version})
    return next(same, None)


def version_before(history: History, model_name: str) -> str:
    """Return the version that the champion replaced, leaving out whatever was rolled back from.

    After 1, 2, 3 and a rollback to 2 this is 1, not 3: going back twice never returns to what was left.

    Raises:
        ModelError: The champion replaced none.
    """
    lineage: list[str] = []
    for event in reversed(history):
        if event.event == "rolled_back" and event.version in lineage:
            del lineage[lineage.index(event.version) + 1 :]
        elif lineage[-1:] != [event.version]:
            lineage.append(event.version)
    if len(lineage) < 2:
        known = f"{history[0].version} since {history[0].at}" if history else "none"
        raise ModelError(f"{model_name}: expected a champion before the present one, got only {known}")
    return lineage[-2]


def check_was_champion(history: History, version: str, model_name: str) -> None:
    """Refuse a rollback to a version that never was production.

    Raises:
        ModelError: The log does not have it.
    """
    known = sorted({event.version for event in history}, key=lambda version: (len(version), version))
    if version not in known:
        raise ModelError(
            f"{model_name}: expected a version that was champion before ({', '.join(known) or 'none was'}), "
            f"got {version!r}; a version that never was is promoted, not rolled back to"
        )


def entry_key(event: PromotionEvent) -> str:
    """Return what tells an entry from all others, those of a database that was started afresh too."""
    return f"{event.entry} {event.at}"
