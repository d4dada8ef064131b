"""`make drill`, whole: minutes of a real Airflow, so it runs with the stack's tests and not with all others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def processes_of(home: Path) -> list[str]:
    """The command lines of the processes that were started with a NIGHTGLASS_HOME below this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("NIGHTGLASS_HOME", "").startswith(str(home)):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_the_drill_sees_tells_and_undoes_and_leaves_nothing_running(tmp_path: Path) -> None:
    quiet = {"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, REPOSITORY / "demo" / "drill.py"],
        env=os.environ | quiet | {"NIGHTGLASS_HOME": str(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "nothing is left running" in done.stdout
    assert processes_of(tmp_path) == []
    protocol = json.loads((tmp_path / "drill" / "drill.json").read_text())
    # A tenth of the light is lost by the fourth dark night; less of it is no news among ordinary nights.
    assert protocol["nights_to_retrain"] in {3, 4, 5}
    assert protocol["nights_to_watch"] <= protocol["nights_to_retrain"]
    assert protocol["alert_after_seconds"] > 0
    *_, wrong, again = protocol["nights"]
    assert (wrong["model_version"], again["model_version"]) == ("2", "1")
    assert (wrong["night"], again["decision"]) == (again["night"], "ok")
    assert 0 < protocol["champion_back_after_seconds"] < protocol["recovered_after_seconds"]
    assert "rolled back to version 1" in protocol["rollback_alert"]
    # What the drill wrote is in its own folder, but for the demo's images.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "drill", "drill.lock"]
