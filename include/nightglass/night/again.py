"""Which night is scored again after the champion changed."""

from nightglass.collections import Collection
from nightglass.settings import Settings
from nightglass.store import Store


def find_last_night(collection: Collection, settings: Settings) -> dict[str, object] | None:
    """Return what a run of the nightly DAG is given to score the last published night again.

    Returns:
        ``night``, ``images_url`` (where its images were the last time) and ``rescore``; None where no night was
        published yet.
    """
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        nights = store.list_nights(collection.name, limit=1)
    if not nights:
        return None
    return {"night": nights[0].night, "images_url": nights[0].images_url, "rescore": True}
