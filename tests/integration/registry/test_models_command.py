"""``nightglass models`` against a real MLflow and a real results database."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from nightglass.retraining.records import Retraining
from nightglass.settings import Settings
from nightglass.store import Store

pytestmark = pytest.mark.integration

NAME = "nightglass-cells"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def models(nightglass: Run, settings: Settings, tmp_path: Path) -> Run:
    folder = tmp_path / "collections"
    folder.mkdir()
    (folder / "cells.yaml").write_text("images: /data/{night}\n")
    env = {
        "NIGHTGLASS_HOME": str(settings.home),
        "NIGHTGLASS_COLLECTIONS_DIR": str(folder),
        "NIGHTGLASS_DATABASE_URL": "",
    }

    def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return nightglass("models", command, "--collection", "cells", *arguments, env=env)

    return run


def test_people_hear_of_a_new_champion_once_unless_only_airflow_knows_them(
    models: Run, client: MlflowClient, add_versions: Callable[[int], None], webhook, monkeypatch, tmp_path: Path
) -> None:
    add_versions(2)
    webhook.messages.clear()
    monkeypatch.setenv("NIGHTGLASS_ALERT_URLS", webhook.url)
    for version in ("1", "2", "2"):
        assert models("promote", "--version", version, "--reason", "its AUROC", "--by", "ana").returncode == 0
    back = models("rollback", "--reason", "false alarms", "--by", "olu", "--json")
    assert json.loads(back.stdout)["champion"] == "1"
    assert [message["title"] for message in webhook.messages] == [
        "Nightglass: cells: version 1 promoted",
        "Nightglass: cells: version 2 promoted",
        "Nightglass: cells: rolled back to version 1",
    ]
    assert webhook.messages[1]["message"] == f"ana promoted version 2 of {NAME} in place of version 1: its AUROC"

    file = tmp_path / "collections" / "cells.yaml"
    file.write_text(file.read_text() + "alerts: {connection: inspection_people}\n")
    assert models("promote", "--version", "2", "--reason", "its AUROC").returncode == 0
    assert len(webhook.messages) == 3


def test_promote_roll_back_and_look(
    models: Run, settings: Settings, client: MlflowClient, add_versions: Callable[[int], None]
) -> None:
    add_versions(3)
    first = models("promote", "--version", "1", "--reason", "first", "--by", "ana", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["entry"]["by"] == "ana"
    second = models("promote", "--version", "2", "--reason", "its\x1b[31m AUROC\nis better")
    assert second.stdout == f"{NAME}: 2 is the champion now, 1 was\n"
    again = models("promote", "--version", "2", "--reason", "once more")
    assert again.stdout.startswith(f"{NAME}: 2 is the champion already, since 20")
    back = models("rollback", "--reason", "false alarms", "--json")
    result = json.loads(back.stdout)
    assert (result["champion"], result["is_new"], result["entry"]["event"]) == ("1", True, "rolled_back")
    assert result["entry"]["by"]
    assert client.get_registered_model(NAME).aliases["champion"] == 1

    told = models("history").stdout.splitlines()
    assert len(told) == 3
    assert ": 1 (rolled back by " in told[0]
    assert told[0].endswith("before: 2): false alarms")
    assert told[1].endswith("before: 1): its [31m AUROC is better")
    events = json.loads(models("history", "--json").stdout)["history"]
    assert [(e["version"], e["entry"]) for e in events] == [("1", 3), ("2", 2), ("1", 1)]

    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.publish_retraining(
            Retraining(
                collection="cells",
                run="r1",
                model_name=NAME,
                champion_version="1",
                challenger_version="2",
                data_version="ab" * 32,
                started_at="2026-03-15T02:00:00.000000Z",
                finished_at="2026-03-15T02:20:00.000000Z",
                requested_by="ana",
                reason="drift",
                outcome="promoted",
                sentence="Promoted.",
                folder_url="/home",
                gates=[],
            )
        )
    listed = json.loads(models("list", "--json").stdout)
    assert (listed["champion"], listed["alias"]) == ("1", "1")
    rows = [(v["version"], v["is_champion"], v["aliases"], v["retraining"]) for v in listed["versions"]]
    assert rows == [("3", False, [], None), ("2", False, [], "promoted"), ("1", True, ["champion"], None)]
    assert listed["versions"][0]["data_version"] == "ab" * 32
    client.set_registered_model_alias(NAME, "champion", "3")
    lines = models("list").stdout.splitlines()
    assert len(lines) == 5
    assert "retraining: promoted" in lines[2]
    assert "alias champion points to 3, the promotion log has 1" in lines[4]
    assert json.loads(models("list", "--limit", "2", "--json").stdout)["versions"][1]["version"] == "2"


def test_what_is_wrong_is_one_line(models: Run, add_versions: Callable[[int], None]) -> None:
    assert "no version is registered yet" in models("list").stdout
    assert "no version was ever the champion" in models("history").stdout
    add_versions(1)
    for command, arguments, expected in (
        ("promote", ("--version", "9", "--reason", "x"), "expected a registered version, got none"),
        ("promote", ("--version", "1", "--reason", " "), "expected who changes the champion and why"),
        ("promote", ("--version", "1"), "--reason"),
        ("rollback", ("--reason", "x"), "expected a champion before the present one"),
    ):
        done = models(command, *arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("nightglass: ")
        assert expected in line


def test_a_version_shows_the_metrics_of_its_run(models: Run, client: MlflowClient) -> None:
    run = client.create_run(client.create_experiment("fits"))
    client.log_metric(run.info.run_id, "auroc", 0.9375)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, source="file:///nowhere", run_id=run.info.run_id)
    (version,) = json.loads(models("list", "--json").stdout)["versions"]
    assert version["metrics"] == {"auroc": 0.9375}
    assert "auroc 0.9375" in models("list").stdout
