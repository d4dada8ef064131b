"""A shadow through Airflow's own scheduler: the retraining waits for a night that both models score, then goes on."""

import time
from pathlib import Path

import pytest

from tests.e2e.retraining_loop import SECONDS, begin_loop, draw_night

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
NAME, NIGHT, NEXT_NIGHT = "shadowed", "2026-03-02", "2026-03-03"


def test_a_challenger_is_promoted_after_a_night_beside_the_champion(site, airflow, nightglass, run_night):
    loop = begin_loop(NAME, site, airflow, nightglass, promotion="automatic", shadow_nights=1)
    draw_night(site.images / NAME / NIGHT)
    state, tasks = run_night(NAME, NIGHT)
    assert (state, tasks["shadow_night"]) == ("success", "skipped")
    run = loop.wait_for_request()
    deadline = time.monotonic() + SECONDS
    while airflow.task_states(loop.dag, run).get("shadow_challenger") != "up_for_reschedule":
        assert airflow.run_state(loop.dag, run) in {"queued", "running"}, airflow.task_states(loop.dag, run)
        assert time.monotonic() < deadline, airflow.task_states(loop.dag, run)
        time.sleep(0.5)
    assert loop.champion() == "1"

    draw_night(site.images / NAME / NEXT_NIGHT, first=600, usual=20, others=60)
    state, tasks = run_night(NAME, NEXT_NIGHT)

    assert (state, tasks["shadow_night"]) == ("success", "success")
    report = (site.home / "nights" / NAME / NEXT_NIGHT / "report.html").read_text()
    assert "With the challenger the night would have been" in report
    states = loop.end(run)
    assert (states["shadow_challenger"], states["choose_after_shadow"]) == ("success", "success")
    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("skipped", "success", "success")
    newest, *_ = loop.history()
    assert (newest.version, newest.run, newest.by) == ("2", run, "automatic")
    row = loop.retraining(run)
    (gate,) = [gate for gate in row.gates if gate.name == "shadow"]
    assert gate.passed
    assert gate.champion > gate.challenger
    assert "Quiet beside the champion" in (Path(row.folder_url) / "report.html").read_text()
    # While it was shadowed, the second night asked for no other model.
    assert [run["dag_run_id"] for run in loop.runs()] == [run]
