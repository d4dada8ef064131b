"""What is kept in memory because reading it takes long: at most so many bytes of it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Condition, Lock
from typing import Any, TypeVar

Value = TypeVar("Value")


class _Kept:
    """A value that one thread loads while others wait for it; ``is_gone`` where its load failed."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.lock = Lock()
        self.value: Any = None
        self.is_gone = False


class Shelf:
    """Values by key; those that were not asked for the longest go when there is no room.

    Several threads may ask at once: a value is loaded once however many ask for it. What is being loaded does not go:
    whoever finds no room beside it waits.

    Args:
        max_bytes: Room for all values together, those that are being loaded included.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0
        self._changed = Condition()

    @property
    def kept_bytes(self) -> int:
        """How much room is taken."""
        return self._bytes

    def get(self, key: Hashable, size_bytes: int, load: Callable[[], Value]) -> Value:
        """Return the value of ``key``, loaded where it is not there; its load may raise, then nothing is kept.

        Args:
            key: What it is known by; another version of it has another key.
            size_bytes: Room that it takes. What is larger than the shelf is loaded each time.
            load: Returns it; never None. It asks no shelf.
        """
        if size_bytes > self.max_bytes:
            return load()
        while True:
            kept = self._find_or_make(key, size_bytes)
            with kept.lock:
                if kept.is_gone:  # whoever loaded it failed, and its room was given away
                    continue
                if kept.value is None:
                    try:
                        kept.value = load()
                    except BaseException:
                        self._forget(key, kept)
                        raise
                    with self._changed:
                        self._changed.notify_all()
                value: Value = kept.value
                return value

    def _find_or_make(self, key: Hashable, size_bytes: int) -> _Kept:
        with self._changed:
            while (kept := self._kept.get(key)) is None:
                if self._make_room(size_bytes):
                    kept = self._kept[key] = _Kept(size_bytes)
                    self._bytes += size_bytes
                    break
                self._changed.wait()
            self._kept.move_to_end(key)
            return kept

    def _make_room(self, size_bytes: int) -> bool:
        """Let go of what is loaded, the longest unused first; False where what is being loaded leaves no room."""
        loaded = [key for key, kept in self._kept.items() if kept.value is not None]
        for key in loaded:
            if self._bytes + size_bytes <= self.max_bytes:
                break
            self._bytes -= self._kept.pop(key).size_bytes
        return self._bytes + size_bytes <= self.max_bytes

    def _forget(self, key: Hashable, kept: _Kept) -> None:
        with self._changed:
            kept.is_gone = True
            del self._kept[key]
            self._bytes -= kept.size_bytes
            self._changed.notify_all()
