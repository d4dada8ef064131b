"""What a night's page shows besides verdicts, kept as it was built: its charts take most of the time."""

import hashlib
import pickle
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache, cached
from pydantic import ValidationError

from nightglass.engine.results import ASSESSMENT_NAME, SHADOW_NAME
from nightglass.errors import InputError
from nightglass.night.report.page import ReportPage, arrange_page
from nightglass.night.report.source import night_of_assessment
from nightglass.records import Assessment, NightSummary
from nightglass.storage import Folder

_KEPT_BYTES = 32 * 1024 * 1024  # a night takes some 200 KB, with a shadow's pictures 1 MB more


@dataclass(frozen=True)
class BuiltNight:
    """A night's assessment, and its page without gallery and verdicts."""

    assessment: Assessment
    page: ReportPage


def read_night(source: Folder, trend: Sequence[NightSummary]) -> BuiltNight | None:
    """Return a night as its files are now; None while it is being scored again.

    Args:
        source: Its score folder.
        trend: The nights up to it.

    Raises:
        InputError: One of its files is not what it should be.
    """
    if not source.exists(ASSESSMENT_NAME):
        return None
    shadow = source.read_bytes(SHADOW_NAME) if source.exists(SHADOW_NAME) else b""
    return _build(source, trend, source.read_bytes(ASSESSMENT_NAME), shadow)


def _name_content(
    source: Folder, trend: Sequence[NightSummary], assessed: bytes, shadow: bytes
) -> tuple[Hashable, ...]:
    content = hashlib.sha256(assessed + b"|" + shadow)
    for night in trend:
        content.update(night.model_dump_json().encode())
    return source.url, content.digest()


def _count_bytes(built: BuiltNight) -> int:
    return len(pickle.dumps(built))


@cached(LRUCache(_KEPT_BYTES, getsizeof=_count_bytes), key=_name_content, lock=Lock())
def _build(source: Folder, trend: Sequence[NightSummary], assessed: bytes, shadow: bytes) -> BuiltNight:  # noqa: ARG001
    """Build a night's page, or return it as it was built from the same content."""
    try:
        assessment = Assessment.model_validate_json(assessed)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"{source.url}/{ASSESSMENT_NAME}: {where}: {problem['msg']}") from error
    night = night_of_assessment(assessment, source)
    return BuiltNight(assessment, arrange_page(night, source, trend=trend, has_pictures=False))
