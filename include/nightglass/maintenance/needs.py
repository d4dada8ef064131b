"""Who still needs a night: a retraining that may begin, one that is not concluded, a shadow, a night in work."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq

from nightglass.maintenance.journal import Journal
from nightglass.maintenance.redacted_night import is_begun
from nightglass.maintenance.retention import NightNeeds
from nightglass.maintenance.standing import Nights
from nightglass.retraining.plan import FROZEN_NAME, PLAN_NAME, TRAINING_NAME, RetrainPlan
from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.storage import Folder
from nightglass.store import NightRow, format_time

_ALL = 1_000_000
_WORK = timedelta(days=7)  # of a retraining, with all its retries, beside its shadow and its approval


def gather_needs(
    nights: Nights, old: Sequence[str], removed: Mapping[str, set[str]], retrainings: Folder
) -> list[NightNeeds]:
    """Return who needs the ``old`` nights, in their order; ``removed`` is what went of them already.

    Only the old ones are looked into, which are few once the rest of them went: a look is some requests to the store.
    """
    store, name = nights.store, nights.collection.name
    rows = {row.night: row for row in store.list_nights(name, _ALL)}
    needed: dict[str, list[str]] = defaultdict(list)
    wanted = nights.collection.retraining.nights
    for night in _last_usable(nights.names(), store.upkeep.removals(name), wanted):
        needed[night].append(f"a retraining would take images from it, one of the last {wanted} nights")
    for night, run in _nights_of_open_retrainings(nights, retrainings):
        needed[night].append(f"the retraining {run} is not concluded")
    shadow = store.shadows.find_active(name)
    for night in old if shadow else ():
        if shadow and night > shadow.after_night:
            needed[night].append(f"the shadow of {shadow.run} goes on")
    judged = Counter(
        verdict.night for verdict in VerdictsInEffect(store.verdicts(name)).all() if verdict.scope == "image"
    )
    is_searched = not store.upkeep.deletions.finished(name).issuperset(Journal(nights.folder).list_keys())
    return [
        NightNeeds(
            night=night,
            removed=frozenset(removed.get(night, ())),
            needed_by=[*needed[night], *_in_work(nights, night, rows.get(night))],
            judged=judged[night],
            is_searched=is_searched,
        )
        for night in old
    ]


def _last_usable(names: list[str], removed: dict[str, set[str]], count: int) -> list[str]:
    usable = [night for night in names if not {"embeddings", "scores"} & removed.get(night, set())]
    return usable[-count:]


def _in_work(nights: Nights, night: str, row: NightRow | None) -> list[str]:
    if is_begun(nights.folder.child(night)):  # its new files would come after what is removed now
        return ["a deletion is begun in it"]
    why = nights.why_in_work(night, row)
    return [why] if why else []


def _nights_of_open_retrainings(nights: Nights, retrainings: Folder) -> list[tuple[str, str]]:
    """Return the nights that retrainings took images from which have no outcome yet, each with its run."""
    found = set()
    for run in open_retrainings(nights, retrainings):
        for name in (TRAINING_NAME, FROZEN_NAME):
            if retrainings.exists(f"{run}/{name}"):
                with retrainings.open_read(f"{run}/{name}") as file:
                    sources = pq.ParquetFile(file).read(columns=["source"])["source"]
                found |= {(night, run) for night in sources.to_pylist()}
    return sorted(found)


def open_retrainings(nights: Nights, retrainings: Folder) -> list[str]:
    """Return the retrainings that have no outcome yet, but for those that were begun longer ago than one may last."""
    options = nights.collection.retraining
    longest = timedelta(days=options.shadow.max_days, hours=options.approval_hours) + _WORK
    begun_after = format_time(datetime.now(UTC) - longest)
    known = nights.store.list_retrainings(nights.collection.name, _ALL)
    done = {retraining.folder_url.rpartition("/")[2] for retraining in known}
    return [
        run
        for run in retrainings.names()
        if run not in done
        and retrainings.exists(f"{run}/{PLAN_NAME}")
        and RetrainPlan.model_validate_json(retrainings.read_bytes(f"{run}/{PLAN_NAME}")).started_at > begun_after
    ]
