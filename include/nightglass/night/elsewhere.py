"""From where a run that somebody starts by hand may take its images: not from wherever the workers can read."""

import posixpath
from pathlib import Path

from nightglass.collections import Collection
from nightglass.errors import InputError
from nightglass.settings import Settings
from nightglass.storage import Folder, open_folder

ANYWHERE = "any"
OWN = "own"


def check_allowed(images: Folder, collection: Collection, settings: Settings) -> None:
    """Check a folder that is given instead of the collection's own.

    Whoever may start a collection's nights would else see the pictures of every folder and bucket that the workers
    can read, those of other collections among them. ``NIGHTGLASS_IMAGES_FROM`` says what is allowed: ``any``, or
    ``own`` for what lies beside the collection's own nights, and any further folders and ``s3://`` prefixes.

    Args:
        images: The folder.
        collection: What it would be a night of.
        settings: Have what is allowed.

    Raises:
        InputError: It is not below one of them, or its address has ``..`` in it.
    """
    allowed = settings.images_from.split()
    if ANYWHERE in allowed:
        return
    own = collection.images_root
    roots = [open_folder(address) for address in (own, *allowed) if address and address != OWN]
    if not any(_is_below(images, root) for root in roots):
        raise InputError(
            f"images_url: expected a folder beside the nights of {collection.name} or one that NIGHTGLASS_IMAGES_FROM "
            f"allows, got {images.url}"
        )


def _is_below(folder: Folder, root: Folder) -> bool:
    if folder.is_local != root.is_local or ".." in folder.root.split("/"):
        return False
    if folder.is_local:
        return Path(folder.root).resolve().is_relative_to(Path(root.root).resolve())
    # A key of an object store is no path: nothing but its beginning counts.
    return f"{folder.root}/".startswith(posixpath.join(root.root, ""))
