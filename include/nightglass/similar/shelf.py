"""What is kept in memory because reading it takes long: at most so many bytes of it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

Value = TypeVar("Value")


class _Kept:
    """A value that one thread loads while others wait for it."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.lock = Lock()
        self.value: Any = None


class Shelf:
    """Values by key; those that were not asked for the longest go when there is no room.

    Several threads may ask at once: a value is loaded once however many ask for it.

    Args:
        max_bytes: Room for all values together, those that are being loaded included.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def kept_bytes(self) -> int:
        """How much room is taken."""
        return self._bytes

    def get(self, key: Hashable, size_bytes: int, load: Callable[[], Value]) -> Value:
        """Return the value of ``key``, loaded where it is not there; its load may raise, then nothing is kept.

        Args:
            key: What it is known by; another version of it has another key.
            size_bytes: Room that it takes. What is larger than the shelf is loaded each time.
            load: Returns it; never None.
        """
        if size_bytes > self.max_bytes:
            return load()
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                self._make_room(size_bytes)
                kept = self._kept[key] = _Kept(size_bytes)
                self._bytes += size_bytes
            self._kept.move_to_end(key)
        with kept.lock:
            if kept.value is None:
                try:
                    kept.value = load()
                except BaseException:
                    self._forget(key, kept)
                    raise
            value: Value = kept.value
            return value

    def _make_room(self, size_bytes: int) -> None:
        while self._kept and self._bytes + size_bytes > self.max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.size_bytes

    def _forget(self, key: Hashable, kept: _Kept) -> None:
        with self._lock:
            if self._kept.get(key) is kept:
                del self._kept[key]
                self._bytes -= kept.size_bytes
