"""Retraining through Airflow's own scheduler: a night asks, a person approves or does not, an operator rolls back."""

import json
from pathlib import Path

import pytest

from tests.e2e.retraining_loop import SECONDS, Loop, begin_loop, draw_night

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

NAME, NIGHT = "changing", "2026-03-02"
DAG = f"retrain_{NAME}"
STEPS = {"take_snapshot", "fit_challenger", "evaluate_models", "judge_challenger", "choose_next"}


@pytest.fixture(scope="module")
def loop(site, airflow, nightglass, run_night) -> Loop:
    """A champion that knows one kind of panel, and a night with another kind, which has been scored."""
    loop = begin_loop(NAME, site, airflow, nightglass)
    draw_night(site.images / NAME / NIGHT)
    assert run_night(NAME, NIGHT)[0] == "success"
    assert loop.night() == ("1", "retrain")
    return loop


@pytest.fixture(scope="module")
def asked(loop) -> tuple[str, dict]:
    """The run that the night started by itself, which waits for a person, and what it shows them."""
    run = loop.wait_for_request()
    return run, loop.wait_until_asked(run)


@pytest.fixture(scope="module")
def approved(loop, asked) -> tuple[str, dict[str, str | None]]:
    """The same run, after somebody approved."""
    run, _ = asked
    assert loop.champion() == "1"
    loop.airflow.request("PATCH", loop.question(run), {"chosen_options": ["Approve"]})
    return run, loop.end(run)


@pytest.fixture(scope="module")
def rolled_back(loop, approved, run_night) -> str:
    """The night scored by the new champion, a rollback, and the run of it that scores the night once more."""
    assert run_night(NAME, NIGHT)[0] == "success"
    version, decision = loop.night()
    assert version == "2"
    assert decision in {"ok", "watch"}
    dag_id = f"rollback_{NAME}"
    run = loop.airflow.trigger(dag_id, {"reason": "too quiet", "rescore": True})
    assert loop.airflow.wait_for_run(dag_id, run, SECONDS) == "success"
    assert loop.airflow.wait_for_run(f"nightly_{NAME}", f"rollback__{run}", SECONDS) == "success"
    return run


def test_the_person_who_is_asked_sees_every_gate(asked):
    _, shown = asked

    assert shown["subject"].startswith("All ")
    assert shown["options"] == ["Approve", "Reject"]
    assert shown["defaults"] == ["Reject"]
    for gate in ("Enough training images", "False alarms on good images", "Better than the champion"):
        assert f"| {gate} | yes |" in shown["body"]


def test_an_approved_challenger_is_champion_in_the_name_of_whoever_approved(loop, approved, webhook):
    run, states = approved

    assert states == dict.fromkeys([*STEPS, "approve", "promote_challenger", "conclude"], "success")
    (entry,) = [event for event in loop.history() if event.run == run]
    assert (entry.event, entry.version, entry.previous_version, entry.by) == ("promoted", "2", "1", "admin")
    (told,) = [extra for extra in loop.events(f"champion_{NAME}") if extra["run"] == run]
    assert (told["version"], told["by"]) == ("2", "admin")
    row = loop.retraining(run)
    assert (row.outcome, row.requested_by, row.champion_version, row.challenger_version) == (
        "promoted",
        "the nightly decision",
        "1",
        "2",
    )
    assert row.reason.startswith(f"{NIGHT}: the anomaly rate is")
    assert len(webhook.about(f"{NAME}: challenger promoted")) == 1
    assert len(webhook.about(f"{NAME}: a challenger waits for approval")) == 1


def test_card_and_report_lie_in_the_retrainings_folder(loop, approved):
    folder = Path(loop.retraining(approved[0]).folder_url)

    assert folder.parent == loop.settings.home / "retraining" / NAME
    card = (folder / "card.md").read_text()
    (line,) = [line for line in card.splitlines() if "Approved by" in line]
    assert "admin, 20" in line
    for name in ("card.html", "report.html"):
        assert "<html" in (folder / name).read_text()
    assert json.loads((folder / "gates.json").read_text())["passed"]


def test_after_a_rollback_the_old_champion_has_scored_the_night_again(loop, rolled_back, webhook):
    newest, *_ = loop.history()
    assert (newest.event, newest.version, newest.by, newest.reason, newest.run) == (
        "rolled_back",
        "1",
        "admin",
        "too quiet",
        rolled_back,
    )
    assert loop.champion() == "1"
    assert loop.night() == ("1", "retrain")
    assert len(webhook.about(f"{NAME}: rolled back to version 1")) == 1
    # It asked for the same before; that is no news.
    assert len(loop.events(f"retrain_requests_{NAME}")) == 1


def test_a_rejected_challenger_is_written_down_and_not_promoted(loop, rolled_back):
    before = loop.history()
    run = loop.airflow.trigger(DAG, {"reason": "once more"})
    loop.wait_until_asked(run)

    loop.airflow.request("PATCH", loop.question(run), {"chosen_options": ["Reject"]})

    states = loop.end(run)
    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("success", "skipped", "success")
    row = loop.retraining(run)
    assert (row.outcome, row.requested_by, row.reason) == ("rejected", "admin", "once more")
    assert "rejected by admin" in row.sentence
    assert all(gate.passed for gate in row.gates)
    assert "Rejected by" in (Path(row.folder_url) / "card.md").read_text()
    assert (loop.history(), loop.champion()) == (before, "1")


def test_where_nobody_answers_in_time_nothing_is_promoted(loop, rolled_back, site):
    before = loop.history()
    loop.write_file(site.images, hours=0.001)
    run = loop.airflow.trigger(DAG, {})

    states = loop.end(run)

    loop.write_file(site.images)
    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("success", "skipped", "success")
    assert loop.airflow.request("GET", loop.question(run))["responded_by_user"] is None
    row = loop.retraining(run)
    assert (row.outcome, row.reason) == ("rejected", "started by hand")
    assert "nobody approved it in time" in row.sentence
    assert (loop.history(), loop.champion()) == (before, "1")


def test_a_dry_run_asks_nobody_and_promotes_nothing(loop, rolled_back):
    before = loop.history()
    run = loop.airflow.trigger(DAG, {"dry_run": True})

    states = loop.end(run)

    assert (states["approve"], states["promote_challenger"], states["conclude"]) == ("skipped", "skipped", "success")
    assert loop.retraining(run).outcome == "dry_run"
    assert (loop.history(), loop.champion()) == (before, "1")
