"""One stack a home: a second one would write the same volumes, and empty the folders that the first one works in."""

import fcntl
import os
from pathlib import Path

from deploy.native.errors import StackError


class HomeLock:
    """Held until it is released, and for as long as a process lives that inherited ``descriptor``.

    Args:
        home: The folder.

    Raises:
        StackError: Another stack has it, or left processes behind when it was killed; the line has their numbers.
    """

    def __init__(self, home: Path) -> None:
        path = home / ".lock"
        self._file = path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            holders = ", ".join(map(str, _find_holders(path))) or "unknown"
            raise StackError(
                f"{home}: expected no other stack here, got one that runs, or was killed and left processes: {holders}"
            ) from None

    @property
    def descriptor(self) -> int:
        """What a process has to inherit to keep the home, too."""
        return self._file.fileno()

    def release(self) -> None:
        """Let go of it."""
        self._file.close()


def _find_holders(path: Path) -> list[int]:
    """Return the processes that have the file open, as far as this user may see them."""
    held, found = path.stat(), set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.path.samestat(link.stat(), held):
                found.add(int(link.parts[2]))
        except OSError:  # it is gone, or somebody else's
            continue
    return sorted(found)
