"""What one run of a retraining DAG is about: its form, what is asked for, and what a person answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.types import DagRunProtocol

from nightglass.collections import Collection
from nightglass_airflow.champions import name_person
from nightglass_airflow.notices import ApprovalNotifier
from nightglass_airflow.retraining import find_request

if TYPE_CHECKING:
    from nightglass.retraining.conclusion import Approval
    from nightglass.retraining.plan import Request


#: What a person may answer.
APPROVE, REJECT = "Approve", "Reject"


def retrain_form(collection: Collection) -> dict[str, Param]:
    """Return the fields of the form that the Airflow UI shows; all are optional."""
    night: dict[str, Any] = {"type": ["null", "string"], "format": "date", "section": "Which nights"}
    return {
        "reason": Param(
            "",
            type="string",
            maxLength=2000,
            title="Reason",
            section="Why",
            description_md="Why a new model is wanted; the history keeps it.",
        ),
        "since": Param(
            None, title="First night", description_md="Empty: as many as the collection's file says.", **night
        ),
        "until": Param(None, title="Last night", description_md="Empty: the latest one.", **night),
        "use_verdicts": Param(
            True,
            type="boolean",
            title="Use verdicts",
            section="How",
            description_md="Learn from what analysts said, and measure with it.",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            section="How",
            description_md=f"Fit and judge a challenger of `{collection.model_name}`, but promote nothing.",
        ),
    }


def read_request(params: Mapping[str, Any], dag_run: DagRunProtocol, triggering: Mapping[Any, Any]) -> Request:
    """Return what a run is asked for: by the night that started it, or by a person with the form."""
    from nightglass.retraining.plan import Request

    asked = find_request(triggering)
    return Request(
        run=dag_run.run_id,
        requested_by="the nightly decision" if asked else name_person(dag_run),
        reason=asked.reason if asked else params["reason"].strip() or "started by hand",
        champion_version=asked.model_version if asked else None,
        since=params["since"],
        until=params["until"] or (asked.night if asked else None),
        use_verdicts=params["use_verdicts"],
        dry_run=params["dry_run"],
    )


def ask_person(collection: Collection, judged_by: str) -> HITLOperator:
    """Return the task that asks a person; ``judged_by`` is the task whose gates it shows."""
    # Not Airflow's ApprovalOperator: on a rejection that keeps the answer to itself and skips the conclusion too.
    return HITLOperator(
        task_id="approve",
        doc_md="Ask a person whether the challenger, which met every gate, becomes the champion.",
        subject=f"{{{{ ti.xcom_pull(task_ids='{judged_by}')['sentence'] }}}}",
        body=f"{{{{ ti.xcom_pull(task_ids='{judged_by}')['body'] }}}}",
        options=[APPROVE, REJECT],
        defaults=REJECT,
        notifiers=[ApprovalNotifier(collection, judged_by)],
        response_timeout=timedelta(hours=collection.retraining.approval_hours),
        retries=0,
    )


def read_answer(answer: Mapping[str, Any] | None) -> Approval | None:
    """Return what came of asking a person; None where nobody was asked. Without a name, nobody answered in time."""
    from nightglass.retraining.conclusion import Approval

    if answer is None:
        return None
    user = answer["responded_by_user"] or {}
    at: datetime = answer["responded_at"]
    return Approval(
        approved=list(answer["chosen_options"]) == [APPROVE],
        by=user.get("name") or user.get("id") or None,
        at=at.astimezone(UTC).isoformat(timespec="seconds"),
    )
