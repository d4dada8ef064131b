"""The signal that asks for a new model: an event of the asset ``retrain_requests_<collection>``, once for a finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import InletEventsAccessors
from airflow.sdk.types import OutletEventAccessorsProtocol

#: An event reaches the asset through the alias only when a task says so; an ordinary outlet always has one.
RETRAIN_DECISION = AssetAlias("retrain_decision")


def retrain_requests(collection: str) -> Asset:
    """Return the asset whose events ask for a new model of a collection."""
    return Asset(f"retrain_requests_{collection}")


def request_retraining(
    plan: dict[str, Any],
    published: dict[str, object],
    asked: InletEventsAccessors,
    events: OutletEventAccessorsProtocol,
) -> None:
    """Emit the event when the decision is ``retrain``, unless the same was asked before: the night ran again.

    A challenger that shadows the champion is the answer already; requests would only queue behind its retraining.
    """
    if published["decision"] != "retrain" or published["challenger"]:
        return
    asset = retrain_requests(plan["collection"])
    request = {
        "collection": plan["collection"],
        "night": plan["night"],
        "model_version": plan["model"]["version"],
        "reasons": published["reasons"],
    }
    if request not in [event.extra for event in asked[asset]]:
        events[RETRAIN_DECISION].add(asset, extra=request)


@dataclass(frozen=True)
class NightlyRequest:
    """What a night asked: why, and about which version."""

    night: str
    reason: str
    model_version: str


def find_request(triggering: Mapping[Any, Sequence[Any]]) -> NightlyRequest | None:
    """Return what the nights asked that started a run; None where a person did.

    Several nights may have asked before it could start; the last one counts. An event that somebody made in the UI
    says nothing, and is a start by hand.
    """
    extras = [event.extra for events in triggering.values() for event in events]
    asked = [extra for extra in extras if {"night", "reasons", "model_version"} <= set(extra)]
    if not asked:
        return None
    newest = max(asked, key=lambda extra: str(extra["night"]))
    reason = f"{newest['night']}: {'; '.join(newest['reasons'])}"
    return NightlyRequest(newest["night"], reason, newest["model_version"])
