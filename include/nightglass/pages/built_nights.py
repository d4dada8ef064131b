"""What a night's page shows besides verdicts, kept as it was built: its charts take most of the time."""

import hashlib
import pickle
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache, cached

from nightglass.engine.results import SHADOW_NAME
from nightglass.errors import InputError
from nightglass.night.report.page import ReportPage, arrange_page
from nightglass.night.report.source import night_of_assessment
from nightglass.pages.settled import damaged, read_settled
from nightglass.records import Assessment, NightSummary
from nightglass.storage import Folder
from nightglass.store import NightRow

_KEPT_BYTES = 32 * 1024 * 1024  # a night takes some 200 KB, with a shadow's pictures 1 MB more


@dataclass(frozen=True)
class BuiltNight:
    """A night's assessment, and its page without gallery and verdicts."""

    assessment: Assessment
    page: ReportPage


def read_night(source: Folder, row: NightRow, trend: Sequence[NightSummary]) -> BuiltNight:
    """Return a published night as its files have it.

    Args:
        source: Its score folder.
        row: As it was published.
        trend: The nights up to it.

    Raises:
        HTTPException: 409: it is being scored again; 503: one of its files is not what it should be.
    """
    assessed = read_settled(source, row)
    try:
        shadow = source.read_bytes(SHADOW_NAME) if source.exists(SHADOW_NAME) else b""
        return _build(source, trend, assessed, shadow)
    except InputError as error:
        raise damaged(row, str(error)) from error


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
    assessment = Assessment.model_validate_json(assessed)
    night = night_of_assessment(assessment, source)
    return BuiltNight(assessment, arrange_page(night, source, trend=trend, has_pictures=False))
