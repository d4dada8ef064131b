"""One night through all its steps, as the DAG calls them, on local folders and on a real S3 server."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nightglass.engine.score import finish_scores
from nightglass.engine.shards import plan_shards
from nightglass.errors import AccessDeniedError, InputError, ModelError, StorageError, ValidationFailedError
from nightglass.images.manifest_file import ROW_COLUMNS, read_manifest
from nightglass.night import flow
from nightglass.night.plan import PlannedNight
from nightglass.retraining.verdicts import NewVerdict
from nightglass.settings import read_settings
from nightglass.storage import open_folder
from nightglass.store import Store
from tests.conftest import write_panels
from tests.integration.results import every_row, query

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]
COLLECTION = """
images: {images}
schedule: null
detector: {{precision: auto, patch_bank_size: 2000, backbone: {{image_size: 96}}}}
ready: {{quiet_minutes: 0}}
scoring: {{shard_size: 20, batch_size: 4, top_k: 4}}
decision: {{min_images: 20, min_baseline_nights: 2}}
"""


@pytest.fixture(scope="module")
def registered(nightglass: Run, good_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the collection `line` has a champion."""
    home = tmp_path_factory.mktemp("home")
    (home / "line.yaml").write_text(COLLECTION.format(images="unused"))
    done = nightglass(
        "fit", "--images", good_images, "--out", home / "detector", "--collection", home / "line.yaml", "--register",
        env={"NIGHTGLASS_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "registered: models:/nightglass-line/1" in done.stdout
    return home


@pytest.fixture
def home(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own with that champion, and the images of a night in `images/`."""
    home = Path(shutil.copytree(registered, tmp_path / "home"))
    # The registry's file names its artifacts by their address.
    with sqlite3.connect(home / "mlflow.db") as database:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
        ):
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(registered), str(home)))
    monkeypatch.setenv("NIGHTGLASS_HOME", str(home))
    (home / "line.yaml").write_text(COLLECTION.format(images=f"{tmp_path}/images/{{night}}"))
    return home


def run_night(home: Path, night: str, **options: object) -> dict[str, object]:
    plan = flow.list_night(str(home / "line.yaml"), night, **options)
    storage = {"storage_options": options["storage_options"]} if "storage_options" in options else {}
    for shard in flow.validate_night(plan, **storage):
        flow.score_night_shard(plan, shard, **storage)
    flow.assess_night(plan, **storage)
    return flow.publish_night(plan, **storage)


def test_a_night_leaves_rows_files_report_and_run(home: Path, tmp_path: Path) -> None:
    write_panels(tmp_path / "images/2026-03-02", range(100, 150), defects=2)
    published = run_night(home, "2026-03-02")
    assert published["changed"] is True
    folder = home / "nights/line/2026-03-02"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "manifest.parquet", "scores.parquet", "quarantine.parquet", "embeddings.faiss", "top_anomalies.json",
        "anomaly_maps", "summary.json", "validation.json", "assessment.json", "report.html",
    }  # fmt: skip
    ((scored, anomalous, version),) = query(home, "SELECT scored, anomalous, model_version FROM nights")
    assert (scored, version) == (50, "1")
    assert anomalous == sum(pq.read_table(folder / "scores.parquet")["is_anomalous"].to_pylist()) >= 2
    assert [row[0] for row in query(home, "SELECT path FROM top_anomalies ORDER BY rank LIMIT 2")] == [
        image["path"] for image in json.loads((folder / "top_anomalies.json").read_text())["top_anomalies"][:2]
    ]
    ((event, at_version, reason),) = query(home, "SELECT event, version, reason FROM model_history")
    assert (event, at_version, reason) == ("promoted", "1", "first version of the model")


def test_a_second_run_of_the_same_night_changes_no_row_and_scores_nothing(home: Path, tmp_path: Path) -> None:
    write_panels(tmp_path / "images/2026-03-02", range(100, 150), defects=2)
    run_night(home, "2026-03-02")
    before, scores = every_row(home), home / "nights/line/2026-03-02/scores.parquet"
    written_at = scores.stat().st_mtime_ns
    again = run_night(home, "2026-03-02")
    assert again["changed"] is False
    assert every_row(home) == before
    assert scores.stat().st_mtime_ns == written_at
    content = scores.read_bytes()
    assert run_night(home, "2026-03-02", rescore=True)["changed"] is False
    assert every_row(home) == before
    assert scores.read_bytes() == content
    assert scores.stat().st_mtime_ns > written_at


def test_a_night_that_died_while_it_was_scored_again_is_finished(home: Path, tmp_path: Path) -> None:
    write_panels(tmp_path / "images/2026-03-02", range(100, 150), defects=2)
    run_night(home, "2026-03-02")
    before, folder = every_row(home), home / "nights/line/2026-03-02"
    plan = flow.list_night(str(home / "line.yaml"), "2026-03-02", rescore=True)
    assert (folder / "assessment.json").exists()  # until there are new scores the old ones stand
    for shard in flow.validate_night(plan):
        flow.score_night_shard(plan, shard)
    finish_scores(
        PlannedNight(plan, None).job(),
        read_manifest(open_folder(folder), columns=ROW_COLUMNS),
        plan_shards(plan.images, 20),
    )
    left = {path.name for path in folder.iterdir()}
    assert not left & {"assessment.json", "report.html"}
    assert {"scores.parquet", "summary.json", "validation.json"} <= left
    with pytest.raises(InputError, match=r"assessment\.json"):
        flow.publish_night(plan)
    flow.assess_night(plan)
    for _ in range(2):
        assert flow.publish_night(plan)["changed"] is False
    assert every_row(home) == before
    flow.assess_night(plan)  # without the shards, which are gone by now
    assert flow.publish_night(plan)["changed"] is False


def test_quiet_nights_make_a_baseline_and_a_bad_night_asks_for_retraining(home: Path, tmp_path: Path) -> None:
    decisions = {}
    for day, defects in ((2, 2), (3, 1), (4, 2), (5, 30)):
        night = f"2026-03-0{day}"
        write_panels(tmp_path / "images" / night, range(day * 1000, day * 1000 + 80), defects=defects)
        decisions[night] = run_night(home, night)
    assert [decision["decision"] for decision in decisions.values()][-1] == "retrain"
    assert all(d["decision"] != "retrain" for night, d in decisions.items() if night != "2026-03-05")
    assert "anomaly rate" in str(decisions["2026-03-05"]["sentence"])
    # A replay of an earlier night must not see the later ones.
    before = every_row(home)
    run_night(home, "2026-03-03", rescore=True)
    assert every_row(home) == before


def test_verdicts_on_top_anomalies_are_counted_in_the_next_reports(home: Path, tmp_path: Path) -> None:
    write_panels(tmp_path / "images/2026-07-01", range(300, 330), defects=4)
    run_night(home, "2026-07-01")
    report = home / "nights/line/2026-07-01/report.html"
    assert "What analysts said" not in report.read_text()
    shown = query(home, "SELECT path, sha256 FROM top_anomalies WHERE night = '2026-07-01' ORDER BY rank")
    said = [
        NewVerdict(
            night="2026-07-01", scope="image", path=path, sha256=sha256, verdict=word, by="anna", source="cli"
        )
        for (path, sha256), word in zip(shown, ("defect", "defect", "normal"), strict=False)
    ]  # fmt: skip
    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.add_verdicts("line", said, datetime.now(UTC))
    write_panels(tmp_path / "images/2026-07-02", range(340, 370))
    run_night(home, "2026-07-02")
    text = (home / "nights/line/2026-07-02/report.html").read_text()
    assert f"Of the {len(shown) + 4} top anomalies of the last 2 nights, analysts judged 3: 2 are defects" in text


def test_a_critical_failure_holds_the_night_and_scores_nothing(home: Path, tmp_path: Path) -> None:
    images = write_panels(tmp_path / "images/2026-03-02", range(100, 130))
    for number in range(10):
        (images / f"broken-{number}.png").write_bytes(b"no image")
    with pytest.raises(ValidationFailedError, match="share of unreadable"):
        run_night(home, "2026-03-02")
    ((decision, scored, quarantined),) = query(home, "SELECT decision, scored, quarantined FROM nights")
    assert (decision, scored, quarantined) == ("hold", 0, 10)
    folder = home / "nights/line/2026-03-02"
    assert not (folder / "scores.parquet").exists()
    assert "broken-3.png" in (folder / "report.html").read_text()


def test_a_step_that_runs_again_loses_nothing(home: Path, tmp_path: Path) -> None:
    write_panels(tmp_path / "images/2026-03-02", range(100, 150), defects=2)
    plan = flow.list_night(str(home / "line.yaml"), "2026-03-02", rescore=True)
    for shard in flow.validate_night(plan):
        flow.score_night_shard(plan, shard)
    flow.assess_night(plan)
    flow.publish_night(plan)
    before = (home / "nights/line/2026-03-02/scores.parquet").read_bytes()
    flow.assess_night(plan)  # as an operator who clears only this task
    assert flow.publish_night(plan)["changed"] is False
    text = (home / "line.yaml").read_text()
    (home / "line.yaml").write_text(text.replace("batch_size: 4", "batch_size: 5"))
    with pytest.raises(InputError, match="scoring options changed since they were listed: clear list_images"):
        flow.assess_night(plan)
    assert (home / "nights/line/2026-03-02/scores.parquet").read_bytes() == before


def test_a_stopped_night_keeps_nothing_of_the_images_before(home: Path, tmp_path: Path) -> None:
    images = write_panels(tmp_path / "images/2026-03-02", range(100, 130))
    run_night(home, "2026-03-02")
    for path in sorted(images.iterdir())[:15]:
        path.write_bytes(b"no image")
    with pytest.raises(ValidationFailedError):
        run_night(home, "2026-03-02")
    assert {path.name for path in (home / "nights/line/2026-03-02").iterdir()} == {
        "manifest.parquet", "validation.json", "assessment.json", "report.html",
    }  # fmt: skip


def test_the_champion_predicts_through_mlflow(home: Path, good_images: Path) -> None:
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    champion = mlflow.pyfunc.load_model("models:/nightglass-line@champion")
    files = [path.read_bytes() for path in sorted(good_images.iterdir())[:3]]
    scored = champion.predict(pd.DataFrame({"image": [*files, b"no image"]}))
    assert scored["image_score"].notna().tolist() == [True, True, True, False]
    assert scored["is_anomalous"].tolist()[3] is False
    assert "not_an_image" in scored["reason"][3]


def test_a_folder_in_work_is_waited_for(home: Path, tmp_path: Path) -> None:
    file = str(home / "line.yaml")
    assert "no folder" in str(flow.reason_to_wait(file, "2026-03-02"))
    images = write_panels(tmp_path / "images/2026-03-02", range(3))
    assert flow.reason_to_wait(file, "2026-03-02") is None
    text = Path(file).read_text()
    for path in images.iterdir():
        os.utime(path, (0, 0))  # as a copy that keeps the times of its originals
    Path(file).write_text(text.replace("quiet_minutes: 0", "quiet_minutes: 5"))
    assert "expected at least 300 s" in str(flow.reason_to_wait(file, "2026-03-02"))
    Path(file).write_text(text.replace("quiet_minutes: 0", "quiet_minutes: 0.02"))
    time.sleep(1.5)
    assert flow.reason_to_wait(file, "2026-03-02") is None
    Path(file).write_text(text.replace("quiet_minutes: 0", "marker: _SUCCESS"))
    assert "no marker file '_SUCCESS'" in str(flow.reason_to_wait(file, "2026-03-02"))
    (images / "_SUCCESS").touch()
    assert flow.reason_to_wait(file, "2026-03-02") is None


def test_bad_input_is_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(home / "line.yaml")
    with pytest.raises(InputError, match="expected a date YYYY-MM-DD, got 'yesterday'"):
        flow.list_night(file, "yesterday")
    with pytest.raises(InputError, match="got nothing there"):
        flow.list_night(file, "2026-03-02")
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="nightglass-line"):
        flow.list_night(file, "2026-03-02")


def test_a_night_on_s3_gives_the_scores_of_a_local_one(home: Path, tmp_path: Path, s3_server, monkeypatch) -> None:
    images = write_panels(tmp_path / "images/2026-03-02", range(100, 150), defects=2)
    (images / "half.png").write_bytes((images / "good-00100.png").read_bytes()[:200])
    run_night(home, "2026-03-02")
    local = pq.read_table(home / "nights/line/2026-03-02/scores.parquet")
    bucket = s3_server.make_bucket()
    options = s3_server.storage_options
    s3_server.file_system().put(str(images), f"{bucket}/line-1/2026-03-02", recursive=True)
    monkeypatch.setenv("NIGHTGLASS_NIGHTS_URL", f"s3://{bucket}/nights")
    run_night(home, "2026-03-02", images_url=f"s3://{bucket}/line-1/2026-03-02", storage_options=options)
    remote = open_folder(f"s3://{bucket}/nights/line/2026-03-02", options)
    assert remote.read_table("scores.parquet").equals(local)
    assert remote.read_table("quarantine.parquet")["reason"].to_pylist() == ["truncated"]
    assert b"<html" in remote.read_bytes("report.html")
    # SeaweedFS keeps the name of an emptied folder.
    assert not [name for name in remote.fs.find(remote.path(".shards")) if name.endswith(".parquet")]


def test_a_store_that_does_not_answer_or_refuses_is_one_clear_error(home: Path, s3_server) -> None:
    file = str(home / "line.yaml")
    bucket = s3_server.make_bucket()
    wrong = s3_server.storage_options | {"secret": "wrong"}
    with pytest.raises(AccessDeniedError, match=rf"s3://{bucket}/x"):
        flow.list_night(file, "2026-03-02", images_url=f"s3://{bucket}/x", storage_options=wrong)
    closed = {"key": s3_server.key, "secret": s3_server.secret, "endpoint_url": "http://127.0.0.1:9"}
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:9") as refused:
        flow.list_night(file, "2026-03-02", images_url=f"s3://{bucket}/x", storage_options=closed)
    assert refused.value.can_heal
    with pytest.raises(InputError, match="got nothing there"):
        flow.list_night(
            file, "2026-03-02", images_url="s3://no-such-bucket/x", storage_options=s3_server.storage_options
        )
