"""The drill's parts: its nights get darker, its webhook hears, and it fails where the incident was not seen or mended.

The whole drill runs in tests/stack.
"""

import json
import os
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "demo"


def run_in_demo(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=DEMO, capture_output=True, text=True, check=False)


def night(name: str, what: str, version: str, decision: str, alert: str | None = "told") -> dict[str, object]:
    return {
        "night": name, "what": what, "model_version": version, "decision": decision, "sentence": f"*{decision}*: why",
        "anomaly_rate": 0.03, "psi": {"contrast": 0.1, "brightness": 0.4}, "published_after_seconds": 8.0,
        "alert": None if decision == "ok" else alert, "alert_after_seconds": None if decision == "ok" else 7.5,
    }  # fmt: skip


STORY = [
    night("2026-03-02", "calm", "1", "ok"),
    night("2026-03-03", "calm", "1", "watch"),
    night("2026-03-06", "light 99%", "1", "ok"),
    night("2026-03-07", "light 97%", "1", "watch"),
    night("2026-03-08", "light 94%", "1", "retrain"),
    night("2026-03-20", "full light, wrong champion", "2", "watch"),
    night("2026-03-20", "scored again after the rollback", "1", "ok"),
]
TELL = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from drill_protocol import DrillNight, Protocol, check_drill, write_protocol
nights = [DrillNight(**night) for night in json.loads(sys.argv[1])]
told = json.loads(sys.argv[2])
protocol = Protocol.of(nights, nights[-2], nights[-1], 2.53, 13.64, rollback_alert=told)
write_protocol(protocol, Path(sys.argv[3]))
check_drill(protocol)
"""


def told(changes: dict[int, dict[str, object]]) -> str:
    return json.dumps([changes.get(place, each) for place, each in enumerate(STORY)])


@pytest.mark.parametrize(
    ("changes", "rollback", "problem"),
    [
        ({}, "rolled back", None),
        ({5: night("2026-03-20", "full light, wrong champion", "2", "retrain")}, "rolled back", None),
        ({1: night("2026-03-03", "calm", "1", "hold")}, "x", "2026-03-03, calm: expected ok or watch by version 1"),
        ({4: night("2026-03-08", "light 94%", "1", "watch")}, "x", "expected retrain by version 1, got watch"),
        ({4: night("2026-03-08", "light 94%", "1", "retrain", None)}, "x", "expected an alert of the decision retrain"),
        ({5: night("2026-03-20", "full light", "2", "ok")}, "x", "expected retrain or watch by version 2, got ok"),
        ({5: night("2026-03-20", "full light", "1", "watch")}, "x", "by version 2, got watch by version 1"),
        ({5: night("2026-03-20", "full light", "2", "watch", None)}, "x", "expected an alert of the decision watch"),
        ({6: night("2026-03-20", "again", "2", "ok")}, "x", "expected ok or watch by version 1, got ok by version 2"),
        ({6: night("2026-03-20", "again", "1", "retrain")}, "x", "expected ok or watch by version 1, got retrain"),
        ({}, None, "expected an alert of the rollback, got none"),
    ],
)
def test_the_drill_fails_where_the_incident_was_not_seen_told_or_mended(tmp_path, changes, rollback, problem):
    done = run_in_demo(TELL, told(changes), json.dumps(rollback), tmp_path)

    assert (done.returncode == 0) == (problem is None), done.stderr
    assert (problem or "") in done.stderr


def test_the_protocol_says_how_soon_it_was_seen_and_undone(tmp_path):
    done = run_in_demo(TELL, told({}), json.dumps("cells: rolled <back>"), tmp_path)

    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "drill.json").read_text())
    assert (written["nights_to_watch"], written["nights_to_retrain"]) == (2, 3)
    assert (written["champion_back_after_seconds"], written["recovered_after_seconds"]) == (2.5, 13.6)
    assert [each["decision"] for each in written["nights"]] == [each["decision"] for each in STORY]
    page = (tmp_path / "protocol.md").read_text()
    for line in (
        "| dark nights until the first watch or retrain | 2 |",
        "| to the night scored again by it | 13.6 s |",
        "| 2026-03-08 | light 94% | 1 | 3.0% | brightness 0.40 | retrain | 8 s | 8 s |",
        r"- 2026-03-08, light 94%: \*retrain\*: why",
        r"- cells: rolled \<back\>",
    ):
        assert line in page
    assert "dark nights until the first retrain" in done.stdout


def test_every_night_of_the_fading_lamp_is_darker_and_complete(tmp_path):
    script = """
import sys
from pathlib import Path
from drill_nights import lay_out_drill, darken_training
lay_out_drill(Path(sys.argv[1]) / "demo", Path(sys.argv[1]) / "nights")
darken_training(Path(sys.argv[1]) / "demo", Path(sys.argv[1]) / "nights", 0.5)
"""
    done = run_in_demo(script, tmp_path)

    assert done.returncode == 0, done.stderr
    nights = sorted(folder for folder in (tmp_path / "nights").iterdir() if folder.name.startswith("2026"))
    assert len(nights) == 4 + 6 + 1
    assert all((folder / "complete.txt").exists() for folder in nights)
    light = {folder.name: brightness(folder) for folder in nights}
    calm = [light.pop(f"2026-03-0{day}") for day in (2, 3, 4, 5)]
    mended = light.pop("2026-03-20")
    dark = [light[name] for name in sorted(light)]
    assert abs(mended / np.mean(calm) - 1) < 0.1
    # The lamp loses more a night than the calm nights differ by, but for the first of them.
    assert all(later < before for before, later in pairwise(dark[1:]))
    assert dark[-1] < 0.8 * np.mean(calm)
    training = tmp_path / "nights" / "training-in-the-dark"
    assert brightness(training) / brightness(tmp_path / "demo" / "training" / "mono") == pytest.approx(0.5, abs=0.01)


def brightness(folder: Path) -> float:
    return float(np.mean([np.asarray(Image.open(file)).mean() for file in sorted(folder.glob("*.png"))]))


def test_the_webhook_keeps_what_it_is_told_and_waits_for_it():
    script = """
import threading, time
from webhook import listening_webhook
from nightglass.alerting import Alert, deliver
with listening_webhook() as webhook:
    before = time.monotonic()
    alert = Alert(kind="watch", key="k", subject="drill-cells 2026-03-06", headline="watch", sentence="it drifts")
    threading.Timer(0.3, lambda: print(deliver([webhook.url], alert))).start()
    told = webhook.wait_for("2026-03-06", before, 20)
    print(told.title, "|", told.message, "|", told.at > before)
    print(webhook.wait_for("2026-03-07", before, 0.1), webhook.wait_for("2026-03-06", time.monotonic(), 0.1))
    url = webhook.url
print(url)
"""
    done = run_in_demo(script)

    assert done.returncode == 0, done.stderr
    assert "Nightglass: drill-cells 2026-03-06: watch | it drifts | True" in done.stdout
    assert "None None" in done.stdout
    port = int(done.stdout.split()[-1].rstrip("/").rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0  # nothing listens any more


def test_no_setting_leads_the_drill_to_real_results(tmp_path):
    script = """
import os, sys
from pathlib import Path
from drill import make_own_home
from nightglass.settings import read_settings
print(make_own_home(Path(sys.argv[1])).is_file())
settings = read_settings()
print(settings.database_url, settings.tracking_url, settings.nights_url, settings.retraining_url, settings.alert_urls)
"""
    places = ("DATABASE_URL", "TRACKING_URL", "NIGHTS_URL", "RETRAINING_URL", "ALERT_URLS", "BACKUP_URL")
    leading = {f"NIGHTGLASS_{name}": "s3://production/x" for name in places}
    command = [sys.executable, "-c", script, tmp_path]
    done = subprocess.run(command, cwd=DEMO, capture_output=True, text=True, check=False, env={**os.environ, **leading})

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True")
    assert "production" not in done.stdout
    assert done.stdout.count(str(tmp_path / "drill")) >= 4
