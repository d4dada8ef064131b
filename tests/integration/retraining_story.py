"""The story of a retraining that went well, and how a test steps into it."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nightglass.retraining import flow
from nightglass.retraining.plan import RetrainPlan
from tests.integration.retraining_steps import Home, conclude, promote, request

Begin = Callable[[str], tuple[Home, RetrainPlan]]
NEW_NIGHT = "2026-03-05"


@dataclass(frozen=True)
class Story:
    """A retraining that went well, with a copy of its home and its plan before each step."""

    images: Path
    good: Path
    before: dict[str, tuple[Home, RetrainPlan | None]]
    decisions: list[Any]
    results: dict[str, Any]
    rows_again: tuple[dict[str, Any], dict[str, Any]]


def retrain(home: Home, base: Path, images: Path, good: Path, decisions: list[Any]) -> Story:
    before: dict[str, tuple[Home, RetrainPlan | None]] = {}
    results: dict[str, Any] = {}
    plan: RetrainPlan | None = None

    def keep(step: str) -> None:
        before[step] = home.copy(base / f"before-{step}"), plan

    keep("snapshot")
    plan = flow.snapshot(home.file, request())
    assert plan is not None
    keep("fit")
    plan = flow.fit(plan)
    for step, act in (
        ("evaluate", flow.evaluate),
        ("judge_challenger", flow.judge_challenger),
        ("promote_challenger", promote),
        ("conclude", conclude),
    ):
        keep(step)
        results[step] = act(plan)
    keep("the end")
    rows = home.every_row()
    # As an operator who clears the whole run.
    again = flow.snapshot(home.file, request())
    assert again is not None
    assert flow.fit(again) == plan
    assert flow.judge_challenger(plan) == results["judge_challenger"]
    assert promote(plan).is_new is False
    assert conclude(plan) == results["conclude"]
    results["plan"] = plan
    return Story(images, good, before, decisions, results, (rows, home.every_row()))


def folder_of(home: Home) -> Path:
    (folder,) = (home.path / "retraining/panels").iterdir()
    return folder


def kill(home: Home, place: str, step: str, plan: Any) -> None:
    done = home.start_killed(place, step, plan)
    assert done.returncode == -signal.SIGKILL, f"expected to be killed {place}: {done.stderr[-2000:]}"


def same_files(home: Home, story: Story, *names: str) -> None:
    wanted = folder_of(story.before["the end"][0])
    for name in names:
        if name.endswith(".parquet"):
            assert pq.read_table(folder_of(home) / name).equals(pq.read_table(wanted / name)), name
        else:
            told = str(story.before["the end"][0].path.parent / "home")
            assert (folder_of(home) / name).read_text() == (wanted / name).read_text().replace(told, str(home.path)), (
                name
            )
