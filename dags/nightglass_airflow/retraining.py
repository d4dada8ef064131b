"""The signal that asks for a new model: an event of the asset ``retrain_requests``, once for what was found."""

from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import InletEventsAccessors
from airflow.sdk.types import OutletEventAccessorsProtocol

RETRAIN_REQUESTS = Asset("retrain_requests")
#: An event reaches the asset through the alias only when a task says so; an ordinary outlet always has one.
RETRAIN_DECISION = AssetAlias("retrain_decision")


def request_retraining(
    plan: dict[str, Any],
    published: dict[str, object],
    asked: InletEventsAccessors,
    events: OutletEventAccessorsProtocol,
) -> None:
    """Emit the event when the decision is ``retrain``, unless the same was asked before: the night ran again."""
    if published["decision"] != "retrain":
        return
    request = {"collection": plan["collection"], "night": plan["night"], "reasons": published["reasons"]}
    if request not in [event.extra for event in asked[RETRAIN_REQUESTS]]:
        events[RETRAIN_DECISION].add(RETRAIN_REQUESTS, extra=request)
