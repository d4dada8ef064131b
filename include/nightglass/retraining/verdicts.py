"""Verdicts: what analysts said of images, and which of their words holds for an image.

A verdict on an image beats one on its slice, which beats one on its night; at the same level the later one wins. A
verdict on an image is one on its content: it holds for every copy, in every night.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import AwareDatetime

from nightglass.records import Record

Word = Literal["defect", "normal", "unsure"]
Scope = Literal["image", "slice", "night"]


class VerdictFields(Record):
    """What every verdict has.

    ``night`` is where it was seen. A verdict on an image has ``path`` and ``sha256``, one on a slice has ``slice``
    (such as ``camera=left``). ``source`` says what recorded it: ``cli``, ``import``, ``page``.
    """

    night: str
    scope: Scope
    path: str | None = None
    sha256: str | None = None
    slice: str | None = None
    verdict: Word
    by: str
    note: str = ""
    source: str

    @property
    def subject(self) -> str:
        """What it is on; the database says the same of its rows."""
        if self.scope == "image":
            return str(self.sha256)
        return self.night if self.scope == "night" else f"{self.night} {self.slice}"

    @property
    def label(self) -> Literal["defect", "normal"] | None:
        """What it teaches; None for ``unsure``, which keeps an image out of training instead."""
        return None if self.verdict == "unsure" else self.verdict


class NewVerdict(VerdictFields):
    """A verdict that is about to be recorded; without ``at`` it is given at that moment."""

    at: AwareDatetime | None = None


class Verdict(VerdictFields):
    """A recorded verdict; ``entry`` counts all of them, ``at`` is ISO 8601 in UTC.

    Whoever gave it may have taken it back since, at ``withdrawn_at``: then it is as if it had never been given.
    """

    entry: int
    at: str
    withdrawn_at: str | None = None


class VerdictsInEffect:
    """The verdicts of a collection that nobody took back and no later one on the same subject replaced."""

    def __init__(self, verdicts: Iterable[Verdict]) -> None:
        # ISO 8601 of fixed width: the order of the texts is the order of the times.
        ordered = sorted((verdict for verdict in verdicts if verdict.withdrawn_at is None), key=_moment)
        self._by_subject = {verdict.subject: verdict for verdict in ordered}

    def __len__(self) -> int:
        return len(self._by_subject)

    def all(self) -> list[Verdict]:
        """Return them in the order in which they were given."""
        return sorted(self._by_subject.values(), key=_moment)

    def find(self, night: str, sha256: str | None, slices: Sequence[str] = ()) -> Verdict | None:
        """Return the verdict that holds for an image; None where nobody said anything.

        Args:
            night: The night that the image is of.
            sha256: Of its content; None for one that could not be read.
            slices: Its slices, as :func:`nightglass.images.slices.slices_of` names them.
        """
        by_subject = self._by_subject
        if sha256 is not None and (verdict := by_subject.get(sha256)) is not None:
            return verdict
        of_slices = [verdict for name in slices if (verdict := by_subject.get(f"{night} {name}")) is not None]
        return max(of_slices, key=_moment) if of_slices else by_subject.get(night)


def find_conflicts(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Return the subjects that got different verdicts over time, the latest dispute first; none that were taken back.

    Returns:
        All verdicts of each such subject in the order in which they were given: the last one is in effect.
    """
    by_subject: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in sorted(verdicts, key=_moment):
        if verdict.withdrawn_at is None:
            by_subject[verdict.subject].append(verdict)
    disputed = [given for given in by_subject.values() if len({verdict.verdict for verdict in given}) > 1]
    return sorted(disputed, key=lambda given: _moment(given[-1]), reverse=True)


def _moment(verdict: Verdict) -> tuple[str, int]:
    return verdict.at, verdict.entry
