"""Which files of which nights are old enough to go, and why others of that age stay: pure rules over what is known."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import Literal

from nightglass.collection_retention import Retention
from nightglass.records import Record

Kind = Literal["pictures", "embeddings", "scores"]


class NightNeeds(Record):
    """What is known of a night: ``needed_by`` says who needs all of it, ``judged`` counts its images with verdicts.

    ``is_searched``: an image is to be deleted that may be one of its own.
    """

    night: str
    removed: frozenset[str]
    needed_by: list[str]
    judged: int
    is_searched: bool


class Due(Record):
    """Something of a night that goes, or with ``kept_because`` stays though it is old."""

    night: str
    kind: Kind
    after_days: int
    kept_because: str | None = None


def find_due(nights: Iterable[NightNeeds], options: Retention, today: date) -> list[Due]:
    """Return what is older than the collection's file says, night by night."""
    return [
        Due(night=night.night, kind=kind, after_days=days, kept_because=_why_kept(night, kind, options))
        for night in nights
        for kind, days in list_old(night.night, night.removed, options, today)
    ]


def list_old(night: str, removed: Collection[str], options: Retention, today: date) -> list[tuple[Kind, int]]:
    """Return what of a night is too old and not ``removed`` yet, each with its days."""
    limits: list[tuple[Kind, int | None]] = [
        ("pictures", options.pictures_days),
        ("embeddings", options.embeddings_days),
        ("scores", options.scores_days),
    ]
    age = (today - date.fromisoformat(night)).days
    return [(kind, days) for kind, days in limits if days is not None and kind not in removed and age > days]


def _why_kept(night: NightNeeds, kind: Kind, options: Retention) -> str | None:
    if night.needed_by:
        return "; ".join(night.needed_by)
    if kind == "scores" and night.is_searched:
        return "a deletion is not done, and finds its images by them"
    if kind == "pictures" and options.keep_judged and night.judged:
        return "one of its images has a verdict" if night.judged == 1 else f"{night.judged} of its images have verdicts"
    return None
