"""Being the only one that rewrites a collection's nights: no nightly run begins meanwhile, and nobody else rewrites."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from nightglass.store import Store

_EXTEND_AFTER = timedelta(minutes=5)
_PROCESS = re.compile(r", process (?P<pid>\d+) on (?P<host>.+)")


class Hold:
    """A collection that is held; long work says now and then that it still goes on."""

    def __init__(self, store: Store, collection: str, holder: str) -> None:
        self._store, self._collection, self._holder = store, collection, holder
        self._since = datetime.now(UTC)

    def keep(self) -> None:
        """Go on holding it.

        Raises:
            CollectionInWorkError: Somebody else has it by now: this process was away for too long.
        """
        now = datetime.now(UTC)
        if now - self._since > _EXTEND_AFTER:
            self._store.upkeep.take_lease(self._collection, self._holder, now)
            self._since = now


@contextmanager
def holding(store: Store, collection: str, work: str) -> Iterator[Hold]:
    """Hold a collection for the block; ``work`` is what the others are told.

    Raises:
        CollectionInWorkError: Another process holds it, even for the same work.
    """
    holder = f"{work}, process {os.getpid()} on {socket.gethostname()}"
    _drop_dead(store, collection)
    store.upkeep.take_lease(collection, holder, datetime.now(UTC))
    try:
        yield Hold(store, collection, holder)
    finally:
        store.upkeep.drop_lease(collection, holder)


def _drop_dead(store: Store, collection: str) -> None:
    """Let go of a collection that a killed process of this machine held; one of another machine is waited for."""
    holder = store.upkeep.find_holder(collection, datetime.now(UTC)) or ""
    found = _PROCESS.search(holder)
    if found and found["host"] == socket.gethostname() and not _is_alive(int(found["pid"])):
        store.upkeep.drop_lease(collection, holder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
