"""A request to delete an image, made of what a person says of it."""

import re
from datetime import UTC, datetime

from nightglass.collections import Collection
from nightglass.errors import InputError
from nightglass.images.manifest_file import MANIFEST_NAME
from nightglass.maintenance.deletion_records import DeletionRequest, place_digest
from nightglass.night.plan import NightPlace
from nightglass.retraining.listed_night import ListedNight
from nightglass.store import format_time

_DIGEST = re.compile(r"[0-9a-f]{64}")


def request_deletion(
    collection: Collection,
    *,
    sha256: str | None,
    place: tuple[NightPlace, str, str] | None,
    by: str,
    reason: str,
    is_original_deleted: bool,
) -> DeletionRequest:
    """Return the request.

    Args:
        collection: Whose image.
        sha256: Of its content.
        place: Or the night's places, the night, and the image's path in it.
        by: Who asks.
        reason: Why.
        is_original_deleted: Whether its own file goes too.

    Raises:
        InputError: Nobody asks, no reason is given, the digest is none, or the night has no such image.
    """
    if not by.strip() or not reason.strip():
        raise InputError(f"{collection.name}: expected who asks and why, got by={by!r} reason={reason!r}")
    digest, night = sha256, None
    if place is not None:
        digest, night = _find_digest(*place)
    if digest is None or not _DIGEST.fullmatch(digest):
        raise InputError(f"--sha256: expected 64 hexadecimal digits, lower case, got {str(digest)[:80]!r}")
    return DeletionRequest(
        collection=collection.name,
        digest=digest,
        night=night,
        is_original_deleted=is_original_deleted,
        by=by,
        reason=reason,
        asked_at=format_time(datetime.now(UTC)),
    )


def _find_digest(place: NightPlace, night: str, path: str) -> tuple[str, str | None]:
    """Return what stands for the image, and its night where it could not be read."""
    path = path.removeprefix("./")
    found = ListedNight(place.out, None).find_contents([path]) if place.out.exists(MANIFEST_NAME) else {}
    if path not in found:
        raise InputError(f"{place.out.url}: expected an image of the night, got a path that it does not have")
    content = found[path]
    return (content, None) if content is not None else (place_digest(night, path), night)
