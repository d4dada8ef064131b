"""When a shadow ends, and what it says for the challenger: pure functions of the nights that it saw."""

from collections.abc import Sequence
from datetime import datetime
from statistics import fmean

from nightglass.night.report.figures import count
from nightglass.night.shadow_records import Ending, SeenNight, Shadow
from nightglass.night.wording import percent
from nightglass.records import Record, Verb
from nightglass.retraining.records import Gate

#: The gate's name among the others.
SHADOW_GATE = "shadow"


class ShadowEnd(Record):
    """How a shadow ended; only one that has seen enough is judged, any other ends the retraining."""

    ending: Ending
    sentence: str
    nights_wanted: int
    nights: list[SeenNight]  # the oldest first

    @property
    def is_judged(self) -> bool:
        """Whether the challenger was seen long enough to be judged by it."""
        return self.ending == "seen"


def find_ending(
    shadow: Shadow, nights: Sequence[SeenNight], champion_version: str, now: datetime
) -> tuple[Ending, str] | None:
    """Return why a shadow ends and a sentence that says so; None while it goes on.

    A night that would ask for retraining with the challenger as well ends it at once: no further night could help.

    Args:
        shadow: The shadow.
        nights: What it saw so far, oldest first.
        champion_version: The champion of now.
        now: The time, with a zone.
    """
    if champion_version == shadow.challenger_version:
        return "promoted", f"somebody promoted it when the shadow had seen {tell_seen(shadow, nights)}"
    if champion_version != shadow.champion_version:
        changed = f"champion {shadow.champion_version}, which it shadowed, was replaced by {champion_version}"
        return "champion_changed", f"{changed} when the shadow had seen {tell_seen(shadow, nights)}"
    if shadow.is_decided(nights):
        return "seen", f"the shadow saw {tell_seen(shadow, nights)}"
    if shadow.has_expired(now):
        return "expired", f"the shadow saw {tell_seen(shadow, nights)} in {shadow.max_days:g} days"
    return None


def judge_shadow(end: ShadowEnd) -> Gate:
    """Judge a challenger by the nights that it shadowed: on none may it ask for retraining.

    A night on hold tells nothing, and there must be as many others as the collection's file wanted.
    """
    seen = [night for night in end.nights if night.counts]
    asking = _asking(seen)
    held = len(end.nights) - len(seen)
    why = f"{_nights(len(seen))} seen, at least {count(end.nights_wanted)}"
    if held:
        why += f" ({_nights(held)} on hold told nothing)"
    if asking:
        listed = "; ".join(f"{night.night}: {night.sentence}" for night in asking[:3])
        why += f"; with the challenger {_nights(len(asking))} would have asked for retraining: {listed}"
    elif seen:
        why += "; with the challenger none would have asked for retraining"
    rates = (fmean(n.champion_rate for n in seen), fmean(n.challenger_rate for n in seen)) if seen else (None, None)
    if seen:
        why += f"; anomaly rate {percent(rates[0] or 0.0)} → {percent(rates[1] or 0.0)}"
    return Gate(
        name=SHADOW_GATE,
        title="Quiet beside the champion",
        champion=rates[0],
        challenger=rates[1],
        low=None,
        high=None,
        limit=None,
        passed=len(seen) >= end.nights_wanted and not asking,
        why=why,
    )


def _asking(nights: Sequence[SeenNight]) -> list[SeenNight]:
    return [night for night in nights if night.decision is Verb.RETRAIN]


def tell_seen(shadow: Shadow, nights: Sequence[SeenNight]) -> str:
    """Return how many of the nights that a shadow wants have told it something: ``1 of 3 nights``."""
    seen = sum(night.counts for night in nights)
    return f"{count(seen)} of {_nights(shadow.nights_wanted)}"


def _nights(number: int) -> str:
    return f"{count(number)} {'night' if number == 1 else 'nights'}"
