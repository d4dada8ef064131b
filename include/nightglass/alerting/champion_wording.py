"""What people are told of retrainings and champions: one function a matter, each pure."""

from nightglass.alerting.message import Alert, Link
from nightglass.alerting.wording import run_links
from nightglass.retraining.records import Retraining
from nightglass.store import PromotionEvent

_QUESTION = "tasks/approve/required_actions"


def about_retraining(row: Retraining, headline: str, report_url: str, run_url: str | None) -> Alert:
    """Return what came of a retraining, why it was asked for, and which gates were not met."""
    return Alert(
        kind="promotion" if row.outcome == "promoted" else "refused",
        key=f"retraining/{row.collection}/{row.run}",
        subject=row.collection,
        headline=f"challenger {headline}",
        sentence=row.sentence,
        details=(
            f"{row.model_name}: champion {row.champion_version}, challenger {row.challenger_version or 'none'}",
            f"Asked for by {row.requested_by}: {row.reason}",
            *(f"Not met: {gate.title}: {gate.why}" for gate in row.gates if not gate.passed),
        ),
        links=(*run_links(run_url), Link("Gate report", report_url)),
        collection=row.collection,
        content=f"{row.outcome}: {row.sentence}",
    )


def about_champion(entry: PromotionEvent, run_url: str | None) -> Alert:
    """Return that somebody made another version the champion, or an earlier one again."""
    is_back = entry.event == "rolled_back"
    before = f"version {entry.previous_version}" if entry.previous_version else "none"
    did = (
        f"rolled {entry.model_name} back from {before} to {entry.version}"
        if is_back
        else f"promoted version {entry.version} of {entry.model_name} in place of {before}"
    )
    return Alert(
        kind="rollback" if is_back else "promotion",
        key=f"champion/{entry.model_name}/{entry.entry}",
        subject=entry.collection,
        headline=f"rolled back to version {entry.version}" if is_back else f"version {entry.version} promoted",
        sentence=f"{entry.by} {did}: {entry.reason}",
        links=run_links(run_url),
        collection=entry.collection,
    )


def about_approval(collection: str, run: str, sentence: str, hours: float, run_url: str) -> Alert:
    """Return that a person is asked whether a challenger becomes the champion."""
    return Alert(
        kind="approval",
        key=f"approval/{collection}/{run}",
        subject=collection,
        headline="a challenger waits for approval",
        sentence=sentence,
        details=(f"Without an answer within {hours:g} hours it is rejected.",),
        links=(Link("Answer", f"{run_url}/{_QUESTION}"), *run_links(run_url)),
        collection=collection,
    )
