"""Fill a disk up."""

from pathlib import Path

_PAGE = 4096


def fill(disk: Path) -> Path:
    """Fill a disk but for one page, which is enough to begin a file; return the file that fills it."""
    filler = disk / "somebody-else"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(_PAGE)):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - _PAGE))
    return filler
