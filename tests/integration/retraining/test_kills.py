"""A retraining whose process is killed in the middle of a step, and that goes on."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nightglass import promotion
from nightglass.collections import read_collection
from nightglass.errors import InputError
from nightglass.retraining import flow
from nightglass.settings import read_settings
from tests.integration.retraining_steps import (
    MODEL,
    RUN,
    conclude,
    promote,
    request,
)
from tests.integration.retraining_story import Begin, Story, folder_of, kill, same_files

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    "place",
    [
        "while it reads images: 20",
        "before the file: training.parquet",
        "before the file: training.json",
        "before the file: plan.json",
    ],
)
def test_a_killed_snapshot_is_taken_anew(story: Story, begin: Begin, place: str) -> None:
    home, wanted = begin("snapshot")
    kill(home, place, "snapshot", request())
    assert not list(home.path.glob("retraining/*/*/plan.json"))
    plan = flow.snapshot(home.file, request())
    assert plan is not None
    assert (plan.data_version, plan.champion) == (wanted.data_version, wanted.champion)
    same_files(home, story, "training.parquet", "evaluation.parquet", "training.json")
    assert not list(folder_of(home).glob(".writing-*"))


@pytest.mark.parametrize(
    "place",
    ["while it reads images: 40", "before the file: detector", "before: register_model", "after: register_model"],
)
def test_a_killed_fit_registers_one_version(story: Story, begin: Begin, place: str) -> None:
    home, plan = begin("fit")
    kill(home, place, "fit", plan)
    assert home.versions_of(RUN) == (["2"] if place == "after: register_model" else [])
    assert home.alias() == "1"
    fitted = flow.fit(plan)
    assert home.versions_of(RUN) == ["2"]
    assert fitted.challenger_fingerprint == story.results["plan"].challenger_fingerprint
    assert home.alias() == "1"
    if place != "after: register_model":
        assert not list((home.path / "challengers").iterdir())


def test_training_images_that_are_gone_do_not_count(story: Story, begin: Begin, tmp_path: Path) -> None:
    home, plan = begin("fit")
    facts = json.loads((folder_of(home) / "training.json").read_text())
    aside = story.good.rename(tmp_path / "aside")
    try:
        flow.fit(plan)
        flow.fit(plan)
    finally:
        aside.rename(story.good)
    now = json.loads((folder_of(home) / "training.json").read_text())
    assert now["images"] == facts["images"] - 60
    assert now["left_out"] == facts["left_out"] | {"cannot be read any more": 60}


@pytest.mark.parametrize(
    "place", ["while it reads images: 10", "before a process: retraining.cost", "before the file: evaluation.json"]
)
def test_a_killed_evaluation_leaves_no_figures(story: Story, begin: Begin, place: str) -> None:
    home, plan = begin("evaluate")
    kill(home, place, "evaluate", plan)
    assert not (folder_of(home) / "evaluation.json").exists()
    with pytest.raises(InputError, match=r"evaluation\.json: expected to exist"):
        flow.judge_challenger(plan)
    if place == "before the file: evaluation.json":
        assert flow.evaluate(plan) == story.results["evaluate"]
        assert flow.judge_challenger(plan)["next"] == "promote"


@pytest.mark.parametrize("place", ["before the file: report.html", "before the file: gates.json"])
def test_a_killed_judgement_promotes_nothing(story: Story, begin: Begin, place: str) -> None:
    home, plan = begin("judge_challenger")
    kill(home, place, "judge_challenger", plan)
    with pytest.raises(InputError, match=r"gates\.json: expected to exist"):
        promote(plan)
    assert home.log() == [home.alias()] == ["1"]
    judged = flow.judge_challenger(plan)
    assert judged["sentence"] == story.results["judge_challenger"]["sentence"]
    same_files(home, story, "gates.json", "report.html")


@pytest.mark.parametrize(
    ("place", "is_logged"),
    [
        ("before the row: promotion_log", False),
        ("before the commit: promotion_log", False),
        ("before: set_registered_model_alias", True),
        ("after: set_registered_model_alias", True),
    ],
)
def test_a_killed_promotion_happens_once(begin: Begin, place: str, *, is_logged: bool) -> None:
    home, plan = begin("promote_challenger")
    kill(home, place, "promote_challenger", plan)
    assert home.log() == (["2", "1"] if is_logged else ["1"])
    # The next night comes before Airflow tries again.
    promotion.reconcile_champion(read_collection(Path(home.file)), read_settings())
    assert home.alias() == home.log()[0]
    assert promote(plan).is_new is not is_logged
    assert conclude(plan).outcome == "promoted"
    assert home.log() == ["2", "1"]
    assert home.alias() == "2"
    assert home.query("SELECT run, outcome FROM retrainings") == [(RUN, "promoted")]


@pytest.mark.parametrize(
    "place",
    [
        "before the file: card.md",
        "before the file: card.html",
        "before the row: retraining_results",
        "before the row: retraining_gates",
        "before the commit: retraining_gates",
        "before: set_model_version_tag",
        "before: update_model_version",
        "before: log_artifact",
        "after: log_artifact",
    ],
)
def test_a_killed_conclusion_is_written_whole(story: Story, begin: Begin, place: str) -> None:
    home, plan = begin("conclude")
    kill(home, place, "conclude", plan)
    are_written = place.endswith(("tag", "version", "artifact"))
    assert len(home.query("SELECT run FROM retrainings")) == are_written
    gates = json.loads((folder_of(home) / "gates.json").read_text())["gates"]
    assert len(home.query("SELECT name FROM gates")) == len(gates) * are_written
    rows = home.every_row()
    # In a process of its own: MLflow remembers where a run's artifacts are, and this home is a copy.
    again = home.start_killed("nowhere", "conclude", plan)
    assert again.returncode == 0, again.stderr
    if are_written:
        assert home.every_row() == rows
    assert len(home.query("SELECT name FROM gates")) == len(gates)
    same_files(home, story, "card.md", "card.html")
    version = home.client.get_model_version(MODEL, "2")
    assert version.tags["outcome"] == "promoted"
    assert len(home.client.list_artifacts(version.run_id)) >= 5
