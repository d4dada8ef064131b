"""Whether a challenger still shadows the champion of a night, and whether it scores that night."""

from collections.abc import Sequence
from datetime import datetime

from nightglass.night.plan import NightPlan, PlannedNight
from nightglass.night.shadow_records import SeenNight, Shadow
from nightglass.store import Store


def find_shadow(night: PlannedNight, store: Store) -> tuple[Shadow | None, list[SeenNight]]:
    """Return the shadow of the night's collection that nobody ended, with the nights that it saw, oldest first."""
    shadow = store.shadows.find_active(night.plan.collection)
    return shadow, store.shadows.list_nights(night.plan.collection, shadow.run) if shadow else []


def why_over(shadow: Shadow, seen: Sequence[SeenNight], plan: NightPlan, now: datetime) -> str | None:
    """Return why a shadow has nothing to do with a night's champion any more; None while it has.

    Its retraining ends it soon after; where that was given up, nobody does.

    Args:
        shadow: The shadow.
        seen: What it saw so far.
        plan: The night; what the shadow saw of itself does not count.
        now: The time, with a zone.
    """
    if (shadow.model_name, shadow.champion_version) != (plan.model.name, plan.model.version):
        models = f"challenger {shadow.challenger_version} shadows champion {shadow.champion_version}"
        return f"{models}, the night was scored by {plan.model.version}"
    if shadow.is_decided(other for other in seen if other.night != plan.night):
        return "the shadow has seen enough nights"
    if shadow.has_expired(now):
        return f"the {shadow.max_days:g} days of the shadow are over"
    return None


def why_skipped(shadow: Shadow | None, seen: Sequence[SeenNight], plan: NightPlan, now: datetime) -> str | None:
    """Return why no challenger scores a night beside its champion; None where one does.

    Args:
        shadow: The shadow that nobody ended, None where there is none.
        seen: What it saw so far.
        plan: The night.
        now: The time, with a zone.
    """
    if shadow is None:
        return "no challenger shadows the champion"
    if plan.night <= shadow.after_night:
        return f"the shadow looks at nights after {shadow.after_night}, whose images the challenger cannot know"
    return why_over(shadow, seen, plan, now)
