"""Where the folders and files of a container are on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.native.compose import Service
from deploy.native.images import FOLDERS, REPOSITORY, WORKDIR


@dataclass(frozen=True)
class Places:
    """Folders of one process.

    Attributes:
        own: What belongs to this process alone.
        folders: Each folder or file of the container, and where it is here.
        scratch: Its tmpfs folders, empty whenever it starts.
        files: Each file that the compose file mounts, and the translated copy that stands for it.
    """

    own: Path
    folders: Mapping[str, Path]
    scratch: tuple[Path, ...]
    files: Mapping[Path, Path]

    def make(self) -> None:
        """Make the folders that outlive a start, for their owner alone."""
        for place in (self.own, *self.folders.values()):
            if place not in self.files.values() and not place.exists():
                place.mkdir(parents=True, mode=0o700)


def find_places(home: Path, process: str, service: Service) -> Places:
    """Return the places of one process of a service below ``home``."""
    own = home / "processes" / process
    folders: dict[str, Path] = {}
    if service.is_built:
        folders = {WORKDIR: REPOSITORY, **{folder: own / folder.strip("/") for folder in FOLDERS}}
    scratch, files = [], {}
    for mount in service.mounts:
        if mount.volume:
            folders[mount.target] = home / "volumes" / mount.volume
        elif mount.source is None:
            folders[mount.target] = own / mount.target.strip("/")
            scratch.append(folders[mount.target])
        elif (source := REPOSITORY / mount.source).is_file():
            files[source] = folders[mount.target] = own / mount.target.strip("/")
        else:
            folders[mount.target] = source
    return Places(own, folders, tuple(scratch), files)
