"""The gate report as files and as what Airflow's approval page shows, and whether a person is asked."""

from collections.abc import Sequence

from nightglass.night.shadow_records import SeenNight
from nightglass.retraining.plan import EVALUATION_NAME, FACTS_NAME, GATES_NAME, REPORT_NAME, Planned, RetrainPlace
from nightglass.retraining.records import Evaluation, GateReport, TrainingFacts
from nightglass.retraining.report import gate_markdown, render_gate_report
from nightglass.store import Store


def read_proof(planned: Planned) -> tuple[Evaluation, TrainingFacts]:
    """Return what was measured, and what the challenger was fitted on."""
    folder = planned.place.folder
    evaluation = Evaluation.model_validate_json(folder.read_bytes(EVALUATION_NAME))
    return evaluation, TrainingFacts.model_validate_json(folder.read_bytes(FACTS_NAME))


def read_gates(planned: Planned) -> GateReport:
    """Return the gates as they were judged last."""
    return GateReport.model_validate_json(planned.place.folder.read_bytes(GATES_NAME))


def publish_gates(planned: Planned, gates: GateReport, nights: Sequence[SeenNight]) -> dict[str, object]:
    """Write the report, then the gates, which a promotion reads; return what Airflow's approval page shows."""
    plan, place = planned.plan, planned.place
    evaluation, facts = read_proof(planned)
    place.folder.write_bytes(REPORT_NAME, render_gate_report(evaluation, gates, facts, nights).encode())
    place.folder.write_bytes(GATES_NAME, gates.model_dump_json(indent=1).encode())
    follows = "approve" if asks_person(place) else "promote"
    return {
        "passed": gates.passed,
        "sentence": gates.sentence,
        "body": gate_markdown(evaluation, gates, facts, nights),
        "report": f"{plan.folder_url}/{REPORT_NAME}",
        "next": follows if gates.passed and not plan.request.dry_run else "conclude",
    }


def asks_person(place: RetrainPlace) -> bool:
    """After a rollback a person is asked in any case: what was rolled back would else come again by itself."""
    with Store.connect(place.settings.database_url, place.settings.sql_dir) as store:
        store.migrate()
        history = store.model_history(place.collection.name)
    return place.collection.retraining.promotion == "approval" or (bool(history) and history[0].event == "rolled_back")
