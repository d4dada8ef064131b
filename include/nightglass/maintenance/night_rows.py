"""What follows from the new files of a night: its rows, its report and its MLflow run."""

from nightglass.engine.results import ASSESSMENT_NAME, REPORT_NAME
from nightglass.maintenance.deletion_records import DeletionRequest
from nightglass.maintenance.redacted_night import NightPlan
from nightglass.maintenance.standing import Nights
from nightglass.night.publishing import log_night_run, renew_report
from nightglass.records import Assessment


def finish_night(nights: Nights, night: str, request: DeletionRequest, plan: NightPlan) -> int:
    """Bring rows, report and MLflow run of a night in line with its files; may be done again.

    Returns:
        How many top anomalies lost their rows.
    """
    out, store = nights.folder.child(night), nights.store
    row = nights.row(night)
    results = plan.results or ("", "")
    removed = store.upkeep.deletions.redact_night(request, night, frozenset(plan.good_names), results)
    if row is None or not out.exists(ASSESSMENT_NAME):
        out.remove(REPORT_NAME)  # of a night that was given up; it may show the image
        return removed
    if plan.results:
        assessment = Assessment.model_validate_json(out.read_bytes(ASSESSMENT_NAME))
        renew_report(out, nights.collection, assessment, store)
        log_night_run(nights.settings, assessment, out)
    return removed
