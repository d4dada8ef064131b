"""The demo's story: it comes out as its README says, fails where it does not, and leaves nothing running."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nightglass.settings import Settings
from nightglass.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "demo"
QUIET = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]
#: Night, version and decision, as it should be; then the last night once more, after the rollback.
STORY = [
    ("2026-03-02", "1", "ok"),
    ("2026-03-03", "1", "watch"),
    ("2026-03-04", "1", "ok"),
    ("2026-03-05", "1", "ok"),
    ("2026-03-06", "1", "retrain"),
    ("2026-03-07", "2", "ok"),
    ("2026-03-07", "1", "retrain"),
]


def told(change: dict[int, tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The story with some of its nights changed."""
    return [change.get(place, night) for place, night in enumerate(STORY)]


@pytest.mark.parametrize(
    ("story", "outcome", "message"),
    [
        (told({}), "promoted", None),
        (told({5: ("2026-03-07", "2", "watch")}), "promoted", None),
        (told({}), "refused", "expected the challenger to be promoted, got refused: why"),
        (told({}), "rejected", "expected the challenger to be promoted, got rejected"),
        (told({4: ("2026-03-06", "1", "ok")}), "promoted", "2026-03-06: expected retrain by version 1, got ok by"),
        (told({3: ("2026-03-05", "1", "hold")}), "promoted", "2026-03-05: expected ok or watch by version 1, got hold"),
        (told({2: ("2026-03-04", "1", "retrain")}), "promoted", "2026-03-04: expected ok or watch"),
        (told({5: ("2026-03-07", "2", "retrain")}), "promoted", "2026-03-07: expected ok or watch by version 2"),
        (told({5: ("2026-03-07", "1", "ok")}), "promoted", "by version 2, got ok by version 1"),
        (
            told({6: ("2026-03-07", "2", "retrain")}),
            "promoted",
            "expected retrain by version 1, got retrain by version 2",
        ),
        (told({6: ("2026-03-07", "1", "ok")}), "promoted", "expected retrain by version 1, got ok"),
        (told({})[1:], "promoted", "expected every night, got none for 2026-03-02"),
        (told({})[-1:], "promoted", "expected every night, got none for 2026-03-02, 2026-03-03"),
    ],
)
def test_the_demo_fails_when_its_story_is_not_as_it_should_be(story, outcome, message):
    script = """
import json
import sys
from types import SimpleNamespace
from run import check_story
story, outcome = json.loads(sys.argv[1])
rows = [SimpleNamespace(night=night, model_version=version, decision=decision) for night, version, decision in story]
retraining = SimpleNamespace(champion_version="1", challenger_version="2", outcome=outcome, sentence="why")
check_story(rows[:-1], retraining, rows[-1:])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([story, outcome])],
        cwd=DEMO,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode == 0) == (message is None), done.stderr
    assert (message or "") in done.stderr


@pytest.fixture(scope="module")
def told_demo(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """NIGHTGLASS_HOME after the whole demo, and the demo's process."""
    home = tmp_path_factory.mktemp("told")
    return home, run_demo(home)


def run_demo(home: Path) -> subprocess.CompletedProcess[str]:
    """Run it as `make demo` does."""
    quiet = {"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.run(
        [sys.executable, DEMO / "run.py"],
        env=os.environ | quiet | {"NIGHTGLASS_HOME": str(home), "PORT": "8080"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


def processes_of(home: Path) -> list[str]:
    """The command lines of the processes that were started with this NIGHTGLASS_HOME."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("NIGHTGLASS_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_the_demo_tells_its_story_and_leaves_nothing_running(told_demo):
    home, done = told_demo

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "nothing is left running" in done.stdout
    assert processes_of(home) == []
    settings = Settings(home=home).resolved()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        nights = {row.night: row for row in store.list_nights("solar-cells")}
        (retraining,) = store.list_retrainings("solar-cells")
        history = store.model_history("solar-cells")
    assert {nights[night].decision for night in QUIET} <= {"ok", "watch"}
    assert nights["2026-03-06"].decision == "retrain"
    assert nights["2026-03-06"].quarantined == 8
    # The last night was scored again by the old champion, after the rollback.
    assert (nights["2026-03-07"].model_version, nights["2026-03-07"].decision) == ("1", "retrain")
    assert sorted(nights) == [*QUIET, "2026-03-06", "2026-03-07"]
    assert (retraining.outcome, retraining.requested_by) == ("promoted", "the nightly decision")
    assert retraining.reason.startswith("2026-03-06: ")
    assert retraining.gates
    assert all(gate.passed for gate in retraining.gates)
    assert [(event.event, event.version) for event in reversed(history)] == [
        ("promoted", "1"),
        ("promoted", "2"),
        ("rolled_back", "1"),
    ]
    promoted, rolled_back = history[1], history[0]
    assert (promoted.by, promoted.run) == ("automatic", retraining.run)
    assert (rolled_back.by, rolled_back.reason) == ("admin", "the demo shows the way back")
    folder = Path(retraining.folder_url.removeprefix("file://"))
    assert home in folder.parents
    for name in ("report.html", "card.html"):
        assert "<html" in (folder / name).read_text()
    assert (folder / "card.md").read_text().startswith("# ")
    assert [gate["name"] for gate in json.loads((folder / "gates.json").read_text())["gates"]] == [
        gate.name for gate in retraining.gates
    ]
    for url in (f"{folder}/report.html", f"{folder}/card.html", nights["2026-03-07"].report_url):
        assert url in done.stdout


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_the_demo_once_more_tells_what_came_of_it_and_changes_nothing(told_demo):
    home, done = told_demo
    assert done.returncode == 0
    with sqlite3.connect(home / "nightglass.db") as database:
        before = list(database.iterdump())

    again = run_demo(home)

    assert again.returncode == 0, again.stderr
    assert "The story was told before" in again.stdout
    assert "Version 2 promoted" in again.stdout
    with sqlite3.connect(home / "nightglass.db") as database:
        assert list(database.iterdump()) == before
