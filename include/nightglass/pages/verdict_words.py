"""What people said of a night: the verdict that holds for each image, and who of them sees it differently."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nightglass.collections import Collection
from nightglass.images.slices import slices_of
from nightglass.records import TopAnomaly
from nightglass.retraining.verdicts import Verdict, VerdictsInEffect
from nightglass.store import NightImage, Store

SOURCE = "page"


@dataclass(frozen=True)
class Said:
    """The verdict that holds for something, and the last words of other people on the same that differ from it."""

    verdict: Verdict | None
    others: Sequence[Verdict]

    @property
    def word(self) -> str:
        """The verdict's word; ``none`` where nobody said anything."""
        return self.verdict.verdict if self.verdict else "none"


class Words:
    """Each person's last words on some images, slices and nights."""

    def __init__(self, words: Iterable[Verdict]) -> None:
        self._words = list(words)
        self._by_subject: dict[str, list[Verdict]] = defaultdict(list)
        for word in self._words:
            self._by_subject[word.subject].append(word)
        self.in_effect = VerdictsInEffect(self._words)

    def of_image(self, night: str, sha256: str, slices: Sequence[str]) -> Said:
        """Return what was said of an image of ``night``, or of its slice or night."""
        return self._dispute(self.in_effect.find(night, sha256, slices))

    def in_bulk(self, night: str) -> list[Said]:
        """Return what holds for the whole night, and for slices of it."""
        return [
            self._dispute(verdict)
            for verdict in self.in_effect.all()
            if verdict.scope != "image" and verdict.night == night
        ]

    def _dispute(self, verdict: Verdict | None) -> Said:
        if verdict is None:
            return Said(None, ())
        others = [
            word
            for word in self._by_subject[verdict.subject]
            if word.by != verdict.by and word.verdict != verdict.verdict
        ]
        return Said(verdict, others)


def read_words(store: Store, collection: Collection, night: str, images: Sequence[NightImage | TopAnomaly]) -> Words:
    """Read what was said of some images of a night, of their slices and of the night."""
    slices = {name for image in images for name in slices_of(image.path, collection.slices)}
    subjects = {night, *(f"{night} {name}" for name in slices), *(image.sha256 for image in images)}
    return Words(store.verdict_log.last_words(collection.name, subjects))


def describe(verdict: Verdict, ranks: Mapping[str, int]) -> str:
    """Return a verdict in words, such as ``defect on image 3``.

    Args:
        verdict: What was said.
        ranks: Of the night's top anomalies, by their sha256.
    """
    if verdict.scope == "night":
        return f"{verdict.verdict} on the whole night"
    if verdict.scope == "slice":
        return f"{verdict.verdict} on {verdict.slice}"
    rank = ranks.get(str(verdict.sha256))
    return f"{verdict.verdict} on image {rank}" if rank else f"{verdict.verdict} on {verdict.path}"


def ranks_of(images: Iterable[NightImage | TopAnomaly]) -> dict[str, int]:
    """Return the highest rank of each content."""
    ranks: dict[str, int] = {}
    for image in sorted(images, key=lambda image: image.rank):
        ranks.setdefault(image.sha256, image.rank)
    return ranks


def offer_undo(last: Verdict | None, images: Iterable[NightImage | TopAnomaly]) -> dict[str, int | str] | None:
    """Return the entry that a person can take back and what it says; None where there is none."""
    return {"entry": last.entry, "text": describe(last, ranks_of(images))} if last else None
