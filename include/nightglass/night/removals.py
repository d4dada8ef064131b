"""What people are told of a night that has less than it had: images deleted on request, files removed as too old."""

from dataclasses import dataclass

from nightglass.engine.merge import INDEX_NAME, SCORES_NAME
from nightglass.engine.top_anomalies import MAPS_FOLDER
from nightglass.storage import Folder
from nightglass.store import Store
from nightglass.store.upkeep import Removal

#: What a night has again when it was scored anew, by the kind of what was removed.
BACKED_BY = {"pictures": MAPS_FOLDER, "embeddings": INDEX_NAME, "scores": SCORES_NAME}


@dataclass(frozen=True)
class Notes:
    """``sentences`` on the night; ``pictures_gone`` is what stands in the place of each picture, if they are gone."""

    sentences: tuple[str, ...] = ()
    pictures_gone: str = ""


NO_NOTES = Notes()


def read_notes(store: Store, collection: str, night: str) -> Notes:
    """Return what is to be told of a night."""
    removed = store.upkeep.removals_of_night(collection, night)
    deleted = store.upkeep.deleted_of_night(collection, night)
    sentences = [tell_removal(removal) for _, removal in sorted(removed.items())]
    if deleted:
        what = "1 image was" if deleted == 1 else f"{deleted:,} images were"
        sentences.insert(0, f"{what} deleted on request since; the numbers are those that were decided on.")
    return Notes(tuple(sentences), tell_removal(removed["pictures"]) if "pictures" in removed else "")


def tell_removal(removal: Removal) -> str:
    """Say what is not there any more, and why."""
    return f"The {removal.kind} of this night were removed after {removal.after_days:,} days."


def forget_what_is_back(store: Store, collection: str, night: str, out: Folder) -> None:
    """Let a night that was scored anew have nothing removed any more of what is there again."""
    removed = store.upkeep.removals_of_night(collection, night)
    if not removed:
        return
    names = set(out.names())
    for kind in removed:
        if BACKED_BY[kind] in names:
            store.upkeep.drop_removal(collection, night, kind)
