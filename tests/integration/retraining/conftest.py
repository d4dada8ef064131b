"""A champion of panels, nights with a new kind among them, and the retraining that they lead to."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nightglass.retraining.plan import RetrainPlan
from tests.conftest import write_panels
from tests.integration.retraining_steps import COLLECTION, Home, write_night
from tests.integration.retraining_story import NEW_NIGHT, Begin, Story, retrain

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def story(nightglass: Run, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Tell the story once; every test begins with a copy of the home as it was before some step."""
    base = tmp_path_factory.mktemp("story")
    images, good, home = base / "images", write_panels(base / "images/good", range(60)), Home(base / "home")
    home.path.mkdir()
    Path(home.file).write_text(COLLECTION.format(images=f"{images}/{{night}}", size_ratio=10))
    done = nightglass(
        "fit", "--images", good, "--out", base / "detector", "--collection", home.file, "--register",
        env={"NIGHTGLASS_HOME": str(home.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTGLASS_HOME", str(home.path))
        decisions = []
        for day in range(2, 6):
            night = f"2026-03-0{day}"
            new = {"new": 60, "defects": 4} if night == NEW_NIGHT else {"defects": 1}
            write_night(images / night, day * 1000, 30, **new)
            decisions.append(home.run_night(night))
        return retrain(home, base, images, good, decisions)


@pytest.fixture
def begin(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Give a home of one's own as it was before a step, with the plan that the step gets."""

    def copy(step: str) -> tuple[Home, RetrainPlan]:
        source, plan = story.before[step]
        home = source.copy(tmp_path / "home")
        monkeypatch.setenv("NIGHTGLASS_HOME", str(home.path))
        # The story's own home is what plans and addresses in files speak of.
        told = str(source.path.parent / "home")
        text = (plan or story.results["plan"]).model_dump_json().replace(told, str(home.path))
        for file in home.path.glob("retraining/*/*/plan.json"):
            file.write_text(file.read_text().replace(told, str(home.path)))
        Path(home.file).write_text(Path(home.file).read_text().replace(told, str(home.path)))
        return home, RetrainPlan.model_validate_json(text)

    return copy
