"""A night's top anomalies as its page shows them: which of them, in which order, and what was said of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nightglass.collections import Collection
from nightglass.images.slices import slices_of
from nightglass.pages.verdict_words import Said, Words
from nightglass.records import TopAnomaly

Order = Literal["score", "lowest", "path", "slice"]
Word = Literal["all", "none", "defect", "normal", "unsure", "disputed"]
_LAST = ("\U0010ffff",)  # images without a slice come after those of every slice


@dataclass(frozen=True)
class Choice:
    """What the page was asked to show; an empty ``slice`` is all of them."""

    order: Order
    word: Word
    slice: str


@dataclass(frozen=True)
class Card:
    """A top anomaly: what was said of it, the address of its own page, its slices by their number on this page.

    ``place_by_path`` and ``place_by_slice`` are where it comes when the page is sorted so.
    """

    said: Said
    url: str
    slices: Sequence[int]
    place_by_path: int
    place_by_slice: int
    is_hidden: bool


def build_cards(
    anomalies: Sequence[TopAnomaly], words: Words, known: Collection, night: str, night_url: str, chosen: Choice
) -> tuple[list[str], dict[int, Card]]:
    """Return the names of the slices in the order of their numbers, and a card for each top anomaly by its rank.

    Args:
        anomalies: The night's.
        words: What people said of them.
        known: Their collection.
        night: Its name.
        night_url: The address of its page.
        chosen: What is to be shown; the other cards are hidden.
    """
    slices = {image.rank: slices_of(image.path, known.slices) for image in anomalies}
    names = sorted({name for of_image in slices.values() for name in of_image})
    numbers = {name: number for number, name in enumerate(names)}
    by_path = _count_places(anomalies, lambda image: image.path)
    by_slice = _count_places(anomalies, lambda image: (slices[image.rank] or _LAST, image.rank))
    cards = {}
    for image in anomalies:
        own = slices[image.rank]
        said = words.of_image(night, image.sha256, own)
        cards[image.rank] = Card(
            said=said,
            url=f"{night_url}/images/{image.sha256}",
            slices=[numbers[name] for name in own],
            place_by_path=by_path[image.rank],
            place_by_slice=by_slice[image.rank],
            is_hidden=not _is_chosen(said, own, chosen),
        )
    return names, cards


def arrange_cards(anomalies: Sequence[TopAnomaly], cards: Mapping[int, Card], order: Order) -> list[TopAnomaly]:
    """Return the top anomalies in the order that was asked for."""
    places: dict[Order, Callable[[TopAnomaly], int]] = {
        "score": lambda image: image.rank,
        "lowest": lambda image: -image.rank,
        "path": lambda image: cards[image.rank].place_by_path,
        "slice": lambda image: cards[image.rank].place_by_slice,
    }
    return sorted(anomalies, key=places[order])


def _count_places(
    anomalies: Sequence[TopAnomaly], key: Callable[[TopAnomaly], str | tuple[tuple[str, ...], int]]
) -> dict[int, int]:
    return {image.rank: place for place, image in enumerate(sorted(anomalies, key=key))}


def _is_chosen(said: Said, slices: Sequence[str], chosen: Choice) -> bool:
    if chosen.slice and chosen.slice not in slices:
        return False
    if chosen.word == "disputed":
        return bool(said.others)
    return chosen.word in {"all", said.word}
