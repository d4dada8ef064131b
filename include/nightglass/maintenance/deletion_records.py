"""What is asked to be deleted, and what came of it."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property

from pydantic import Field

from nightglass.records import Record

#: Stands where a name or a picture was.
HIDDEN = "(deleted on request)"
#: Where in a night's folder a deletion prepares what it puts in place; a run of the night does away with it.
STAGING = ".redacting"


class DeletionRequest(Record):
    """An image of a collection that is to be deleted everywhere; the same one asked for again is the same request.

    ``digest`` is the sha256 of its content. An image that could not be read has none: then ``night`` is set, and the
    digest is that of its `place_digest`. Where it lies is never written down.
    """

    collection: str
    digest: str
    night: str | None = None
    is_original_deleted: bool
    by: str
    reason: str
    asked_at: str

    @cached_property
    def key(self) -> str:
        """What names the request, whoever asks and why."""
        what = json.dumps([self.collection, self.digest, self.night, self.is_original_deleted])
        return hashlib.sha256(what.encode()).hexdigest()


class Deletion(Record):
    """What became of a request; ``finished_at`` is None while something is left to do, and ``waiting`` says what.

    ``models`` are versions that were fitted on the image, ``removed`` counts what went by its kind.
    """

    request: DeletionRequest
    finished_at: str | None
    nights: list[str]
    models: list[str]
    removed: Mapping[str, int]
    waiting: list[str] = Field(default_factory=list)
    is_new: bool = True


def place_digest(night: str, path: str) -> str:
    """Return what stands for an image without content: the sha256 of its night and path."""
    return name_digest(f"{night}/{path}")


def name_digest(name: str) -> str:
    """Return what is written down in place of a name that is to go."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
