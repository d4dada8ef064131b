"""Why an image is left out."""

from enum import StrEnum


class QuarantineReason(StrEnum):
    """The reasons; each value is stored and shown."""

    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LARGE_FILE = "too_large_file"
    WRONG_SUFFIX = "wrong_suffix"
    LINK_OUTSIDE_FOLDER = "link_outside_folder"
    NOT_A_FILE = "not_a_file"
    UNREADABLE = "unreadable"
    CHANGED = "changed"


class QuarantinedError(Exception):
    """Raised for one image that cannot be scored; it is recorded and never stops a run."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = " ".join(detail.split())[:300]
