from nightglass.alerting.champion_wording import about_approval, about_champion, about_retraining
from nightglass.retraining.records import Gate, Outcome, Retraining
from nightglass.store import PromotionEvent

RUN = "http://airflow/dags/retrain_cells/runs/1"


def retraining(outcome: Outcome, *, passed: bool) -> Retraining:
    gate = Gate(
        name="auroc",
        title="Better than the champion",
        champion=0.9,
        challenger=0.91,
        low=-0.1,
        high=0.1,
        limit=0.0,
        passed=passed,
        why="the interval reaches below zero",
    )
    return Retraining(
        collection="cells",
        run="manual__1",
        model_name="nightglass-cells",
        champion_version="1",
        challenger_version="2",
        data_version="d",
        started_at="2026-03-02T02:00:00Z",
        finished_at="2026-03-02T03:00:00Z",
        requested_by="the nightly decision",
        reason="2026-03-01: the anomaly rate doubled",
        outcome=outcome,
        sentence="1 of 9 gates was not met.",
        folder_url="/r",
        gates=[gate],
    )


def test_a_refused_challenger_says_which_gates_were_not_met() -> None:
    alert = about_retraining(retraining("refused", passed=False), "refused by its gates", "/r/report.html", RUN)
    assert (alert.kind, alert.title) == ("refused", "Nightglass: cells: challenger refused by its gates")
    assert alert.as_text() == (
        "1 of 9 gates was not met.\n\n"
        "- nightglass-cells: champion 1, challenger 2\n"
        "- Asked for by the nightly decision: 2026-03-01: the anomaly rate doubled\n"
        "- Not met: Better than the champion: the interval reaches below zero\n\n"
        f"Airflow run: {RUN}\nGate report: /r/report.html"
    )


def test_a_promotion_is_another_kind() -> None:
    alert = about_retraining(retraining("promoted", passed=True), "promoted", "/r/report.html", None)
    assert (alert.kind, alert.title) == ("promotion", "Nightglass: cells: challenger promoted")
    assert "Not met" not in alert.as_text()


def test_a_rollback_says_who_and_why() -> None:
    entry = PromotionEvent(
        entry=3,
        collection="cells",
        model_name="nightglass-cells",
        event="rolled_back",
        version="1",
        previous_version="2",
        at="2026-03-02T02:00:00Z",
        by="olu",
        reason="false alarms",
        run="manual__1",
        until=None,
    )
    alert = about_champion(entry, RUN)
    assert alert.title == "Nightglass: cells: rolled back to version 1"
    assert alert.sentence == "olu rolled nightglass-cells back from version 2 to 1: false alarms"


def test_whoever_is_asked_knows_where_to_answer_and_until_when() -> None:
    alert = about_approval("cells", "manual__1", "All 9 gates are met.", 24, RUN)
    assert alert.as_text().splitlines() == [
        "All 9 gates are met.",
        "",
        "- Without an answer within 24 hours it is rejected.",
        "",
        f"Answer: {RUN}/tasks/approve/required_actions",
        f"Airflow run: {RUN}",
    ]
