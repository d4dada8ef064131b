"""A challenger of panels that shadows the champion: its nights, and how a test steps into them."""

from pathlib import Path
from typing import Any

from nightglass.night import flow as night_flow
from nightglass.night import shadow as night_shadow
from nightglass.night.plan import NightPlan
from nightglass.retraining import flow
from nightglass.retraining.plan import RetrainPlan
from tests.integration.retraining_steps import HOSTILE, Home, write_new_panels, write_night
from tests.integration.retraining_story import Begin, Story

#: Nights after the one that asked for retraining.
FIRST, SECOND, THIRD = "2026-03-06", "2026-03-07", "2026-03-08"


def want_shadow(home: Home, nights: int = 2, max_days: float = 30, psi: float = 10) -> None:
    """Write into the collection's file that challengers shadow the champion, and from which PSI on a night drifted."""
    text = Path(home.file).read_text()
    shadow = f"  shadow: {{nights: {nights}, max_days: {max_days}}}\n"
    drift = f"drift: {{watch_psi: {psi}, retrain_psi: {psi}, watch_separability: 1, retrain_separability: 1}}\n"
    Path(home.file).write_text(drift + text.replace("  promotion: automatic\n", "  promotion: automatic\n" + shadow))


def begin_shadow(begin: Begin, nights: int = 2, psi: float = 10) -> tuple[Home, RetrainPlan]:
    """Give a home whose challenger met every gate and has begun to shadow the champion."""
    home, plan = begin("judge_challenger")
    want_shadow(home, nights, psi=psi)
    assert flow.judge_challenger(plan)["next"] == "shadow"
    assert flow.shadow_challenger(plan) is None
    return home, plan


def publish_night(story: Story, home: Home, night: str) -> NightPlan:
    """Publish a night of both kinds of panels, as its DAG does before the shadow, and return its plan."""
    folder = story.images / night
    if not folder.exists():
        first = int(night[-2:]) * 1000
        write_night(folder, first, 30, defects=2)
        write_new_panels(folder / "night", range(first, first + len(HOSTILE) + 20))
    home.run_night(night)
    return night_flow.list_night(home.file, night)


def shadow(plan: NightPlan) -> dict[str, Any] | str:
    """Do what the task does: what came of it, or why it was skipped."""
    return night_shadow.shadow_night(plan)


def files_of(home: Home, night: str) -> dict[str, bytes]:
    """Return every file of a night's folder."""
    folder = home.path / "nights/panels" / night
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
