"""Whether a night's folder is complete, or somebody is still writing it."""

from datetime import UTC, datetime, timedelta

from nightglass.collections import Collection
from nightglass.errors import InputError
from nightglass.images.listing import list_images
from nightglass.storage import Folder


def find_reason_to_wait(images: Folder, collection: Collection, now: datetime) -> str | None:
    """Return why ``images`` is not complete yet, or None when it is.

    With a marker file in the collection's settings its presence decides; otherwise no image may be newer than the
    quiet period.
    """
    ready = collection.ready
    if ready.marker is not None:
        return None if images.exists(ready.marker) else f"no marker file '{ready.marker}' in {images.url} yet"
    try:
        listing = list_images(images, collection.suffixes)
    except InputError:
        return f"no folder {images.url} yet"
    if not listing.images:
        return f"no image in {images.url} yet"
    times = [image.arrived_at for image in listing.images if image.arrived_at is not None]
    newest = max(times, default=datetime.min.replace(tzinfo=UTC))
    quiet = timedelta(minutes=ready.quiet_minutes)
    if now - newest < quiet:
        age = max(0.0, (now - newest).total_seconds())
        return f"newest image in {images.url} is {age:.0f} s old, expected at least {quiet.total_seconds():.0f} s"
    return None
