"""A retraining through all its steps, as the DAG calls them: the whole story, and its ends."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nightglass import promotion
from nightglass.collections import read_collection
from nightglass.errors import InputError, ModelError
from nightglass.registry import Registry
from nightglass.retraining import flow
from nightglass.settings import read_settings
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
from tests.integration.retraining_story import NEW_NIGHT, Begin, Story, folder_of

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]


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
    ("approval", "told"),
    [
        (None, "nobody was asked: promotion is automatic"),
        (flow.Approval(approved=True, by="ada", at="2026-03-05T08:00:00Z"), "ada, 2026-03-05T08:00:00Z"),
    ],
)
def test_the_card_tells_who_approved(begin: Begin, approval: flow.Approval | None, told: str) -> None:
    home, plan = begin("conclude")
    flow.conclude(plan, promoted=True, approval=approval)
    assert f"{told}\n" in (folder_of(home) / "card.md").read_text().replace(" |", "")


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


def promote_task(collections: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """The body of the DAG's task, as Airflow calls it."""
    dags = Path(__file__).resolve().parents[3] / "dags"
    for name, value in {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/no/such/folder/airflow.db",
        "NIGHTGLASS_COLLECTIONS_DIR": str(collections),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(dags))
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dags / "retrain.py", bundle_path=dags, bundle_name="dags")
    body: Callable[..., Any] = bag.dags["retrain_panels"].get_task("promote_challenger").python_callable
    return body


def test_another_champion_meanwhile_stays(begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, plan = begin("promote_challenger")
    settings, collection = read_settings(), read_collection(Path(home.file))
    champion = flow.Planned(plan, None).champion.detector.network_path.parent
    other = Registry.open(settings).register_detector(champion, name=MODEL, params={}, metrics={}, tags={})
    promotion.promote(collection, other, settings, by="ana", reason="by hand")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"expected champion 1, which 2 was compared with, got 3.*retrain"):
            promote(plan)
    with pytest.raises(BaseException, match="expected champion 1") as found:
        promote_task(Path(home.file).parent, monkeypatch, tmp_path)(plan.model_dump(), None, outlet_events={})
    assert type(found.value).__name__ == "AirflowSkipException"
    told = conclude(plan, promoted=False)
    assert told.outcome == "rejected"
    assert f"It was not promoted: ana made version {other} the champion meanwhile" in told.sentence
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


def test_without_the_approval_that_is_asked_for_nothing_is_promoted(begin: Begin) -> None:
    home, plan = begin("promote_challenger")
    file = Path(home.file)
    file.write_text(file.read_text().replace("promotion: automatic", "promotion: approval"))
    with pytest.raises(InputError, match="expected a person's approval, got none"):
        flow.promote_challenger(plan, approved_by=None)
    assert flow.promote_challenger(plan, approved_by="ada").entry.by == "ada"
