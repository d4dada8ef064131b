"""What pages keep of what they made, at most so many bytes of it."""

from collections.abc import Hashable
from threading import Lock
from typing import Any

from cachetools import LRUCache

_RECORD_BYTES = 256  # about what a key takes with its place in the list


class Kept:
    """Things by key; those that were not asked for the longest go first. Several threads may use it at once.

    Args:
        max_bytes: Room for all of them.
    """

    def __init__(self, max_bytes: int) -> None:
        self._lock = Lock()
        self._things: LRUCache[Hashable, tuple[Any, int]] = LRUCache(max_bytes, getsizeof=lambda thing: thing[1])

    def find(self, key: Hashable) -> Any:  # noqa: ANN401  whatever was kept under this key
        """Return what was kept, or None."""
        with self._lock:
            thing = self._things.get(key)
        return None if thing is None else thing[0]

    def keep(self, key: Hashable, thing: object, size_bytes: int) -> None:
        """Keep a thing of ``size_bytes``, its key aside; one that is larger than the room for all is not kept."""
        taken = size_bytes + _RECORD_BYTES
        with self._lock:
            if taken <= self._things.maxsize:
                self._things[key] = (thing, taken)
