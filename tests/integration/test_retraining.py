"""A retraining through all its steps, as the DAG calls them: the whole story, crashes in every step, and its ends."""

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nightglass import promotion
from nightglass.collections import read_collection
from nightglass.errors import InputError, ModelError
from nightglass.registry import Registry
from nightglass.retraining import flow
from nightglass.retraining.plan import RetrainPlan
from nightglass.settings import read_settings
from tests.conftest import write_panels
from tests.integration.retraining_steps import (
    COLLECTION,
    HOSTILE,
    MODEL,
    RUN,
    Home,
    conclude,
    promote,
    request,
    write_night,
)

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]
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


@pytest.fixture(scope="module")
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
        return _retrain(home, base, images, good, decisions)


def _retrain(home: Home, base: Path, images: Path, good: Path, decisions: list[Any]) -> Story:
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


Begin = Callable[[str], tuple[Home, RetrainPlan]]


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


def folder_of(home: Home) -> Path:
    (folder,) = (home.path / "retraining/panels").iterdir()
    return folder


def test_a_new_kind_of_panel_becomes_normal(story: Story, begin: Begin) -> None:
    assert [decision["decision"] for decision in story.decisions] == ["ok", "ok", "ok", "retrain"]
    home, plan = begin("the end")
    training = pq.read_table(folder_of(home) / "training.parquet").to_pylist()
    assert not [row["path"] for row in training if "defect" in row["path"]]
    assert sum(row["reason"] == "a new kind of normal" for row in training) >= 10
    judged = story.results["judge_challenger"]
    assert (judged["passed"], judged["next"]) == (True, "promote")
    assert home.log() == ["2", "1"]
    assert home.alias() == "2"
    assert home.query("SELECT run, outcome, champion_version, challenger_version, failed_gates FROM retrainings") == [
        (RUN, "promoted", "1", "2", "")
    ]
    gates = json.loads((folder_of(home) / "gates.json").read_text())["gates"]
    assert home.query("SELECT name, passed FROM gates ORDER BY position") == [(g["name"], 1) for g in gates]
    version = home.client.get_model_version(MODEL, "2")
    assert version.tags["outcome"] == "promoted"
    assert version.tags["retraining"] == RUN
    assert version.tags["data_version"] == plan.data_version
    assert {file.path for file in home.client.list_artifacts(version.run_id)} >= {
        "card.md", "card.html", "report.html", "gates.json", "training.json",
    }  # fmt: skip
    # MLflow's own databases but SQLite refuse more.
    assert 0 < len(version.description) <= 5000
    write_night(story.images / "2026-03-06", 6000, 30, new=30)
    scored = home.run_night("2026-03-06")
    ((anomalous, by),) = home.query("SELECT anomalous, model_version FROM nights WHERE night = '2026-03-06'")
    assert by == "2"
    assert anomalous < 20, scored["sentence"]


def test_every_step_a_second_time_changes_no_row_and_registers_nothing(story: Story, begin: Begin) -> None:
    first, second = story.rows_again
    assert second == first
    home, _ = begin("the end")
    assert home.versions_of(RUN) == ["2"]


def test_names_from_folders_survive(story: Story, begin: Begin) -> None:
    home, plan = begin("the end")
    folder = folder_of(home)
    tables = [pq.read_table(folder / name) for name in ("training.parquet", "evaluation.parquet")]
    rows = [row for table in tables for row in table.to_pylist() if "/night/" in row["path"]]
    kept = {row["raw_path"] or row["path_in_folder"].encode() for row in rows}
    hostile = {b"night/" + name for name in HOSTILE}
    assert len(kept & hostile) >= 3
    assert b"night/bytes-\xff\xfe.png" in {bytes(row["raw_path"] or b"") for row in gathered(home)}
    fitted = flow.Planned(plan, None).challenger.detector.bank_images["path"].to_pylist()
    assert set(fitted) == {row["path"] for row in tables[0].to_pylist()}
    for page in ("report.html", "card.html"):
        assert "<img src=x" not in (folder / page).read_text()


def gathered(home: Home) -> list[dict[str, Any]]:
    from nightglass.retraining.gathering import gather_nights
    from nightglass.storage import open_folder

    (night,) = gather_nights(open_folder(home.path / "nights/panels"), [NEW_NIGHT], "", 0)
    return list(night.table.to_pylist())


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


def test_a_request_about_an_earlier_champion_is_answered_already(begin: Begin) -> None:
    home, _ = begin("the end")
    rows = home.every_row()
    assert flow.snapshot(home.file, request(run="asset_triggered__2")) is None
    assert home.every_row() == rows
    assert [path.name for path in (home.path / "retraining/panels").iterdir()] == [folder_of(home).name]


def test_a_dry_run_promotes_nothing(begin: Begin) -> None:
    home, plan = begin("judge_challenger")
    plan = plan.model_copy(update={"request": request(dry_run=True)})
    judged = flow.judge_challenger(plan)
    assert (judged["passed"], judged["next"]) == (True, "conclude")
    with pytest.raises(InputError, match="expected a challenger that met every gate"):
        promote(plan)
    assert conclude(plan, promoted=False).outcome == "dry_run"
    assert home.query("SELECT outcome, challenger_version FROM retrainings") == [("dry_run", "2")]
    assert home.log() == [home.alias()] == ["1"]


def test_a_refused_challenger_is_kept_but_not_promoted(story: Story, begin: Begin) -> None:
    home, plan = begin("judge_challenger")
    # It keeps more images than the champion.
    Path(home.file).write_text(COLLECTION.format(images=f"{story.images}/{{night}}", size_ratio=1))
    judged = flow.judge_challenger(plan)
    assert (judged["passed"], judged["next"]) == (False, "conclude")
    with pytest.raises(InputError, match="expected a challenger that met every gate, got: Refused by 1 of"):
        promote(plan)
    assert conclude(plan, promoted=False).outcome == "refused"
    assert home.query("SELECT outcome, failed_gates FROM retrainings") == [("refused", "size")]
    assert home.client.get_model_version(MODEL, "2").tags["outcome"] == "refused"
    assert home.log() == [home.alias()] == ["1"]


def test_another_champion_meanwhile_stays(begin: Begin) -> None:
    home, plan = begin("promote_challenger")
    settings, collection = read_settings(), read_collection(Path(home.file))
    champion = flow.Planned(plan, None).champion.detector.network_path.parent
    other = Registry.open(settings).register_detector(champion, name=MODEL, params={}, metrics={}, tags={})
    promotion.promote(collection, other, settings, by="ana", reason="by hand")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"expected champion 1, which 2 was compared with, got 3.*retrain"):
            promote(plan)
    assert home.log() == [other, "1"]
    assert home.alias() == other
    # The run again: its choice was made against a champion that is gone.
    assert flow.snapshot(home.file, request()) is None
    anew = flow.snapshot(home.file, request(champion_version=None))
    assert anew is not None
    assert anew.champion.version == other


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_registered_version_can_be_fitted_again(begin: Begin, nightglass: Run, version: str) -> None:
    home, _ = begin("the end")
    done = nightglass("reproduce", f"models:/{MODEL}/{version}", "--collection", home.file, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["identical"] is True
    assert found["fingerprint"] == found["reproduced_fingerprint"]
    assert found["max_score_difference"] == 0


def test_without_one_of_its_images_it_is_another_one(story: Story, begin: Begin, nightglass: Run) -> None:
    home, _ = begin("the end")
    gone = story.good / "good-00007.png"
    aside = gone.rename(story.good.parent / "aside.png")
    try:
        done = nightglass("reproduce", f"models:/{MODEL}/2", "--collection", home.file)
    finally:
        aside.rename(gone)
    assert done.returncode != 0
    count = len(pq.read_table(folder_of(home) / "training.parquet"))
    assert f"{count} images in the memory bank, {count - 1} could be read again" in done.stdout
    assert "expected the same detector again" in done.stderr
