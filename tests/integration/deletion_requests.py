"""What somebody asks for who wants an image to be deleted."""

import hashlib
from pathlib import Path

from nightglass.maintenance.deletion_records import DeletionRequest


def request_deletion_of(image: Path, *, collection: str = "line", is_original_deleted: bool = False) -> DeletionRequest:
    return DeletionRequest(
        collection=collection,
        digest=hashlib.sha256(image.read_bytes()).hexdigest(),
        is_original_deleted=is_original_deleted,
        by="ana",
        reason="she asked for it",
        asked_at="2026-03-09T10:00:00.000000Z",
    )
