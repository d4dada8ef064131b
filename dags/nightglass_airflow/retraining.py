"""A retraining in Airflow: the event that asks for one, once for a finding, a look at its shadow, and its promotion."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import InletEventsAccessors
from airflow.sdk.types import OutletEventAccessorsProtocol

from nightglass.collections import read_collection
from nightglass.errors import ChampionChangedError, ConfigurationError, NightglassError
from nightglass_airflow.connections import storage_options

if TYPE_CHECKING:
    from nightglass.promotion import Promotion

log = logging.getLogger(__name__)

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
    if published["decision"] != "retrain":
        return
    if challenger := published["challenger"]:
        told = "%s %s: no new model is asked for, challenger %s shadows the champion already"
        log.info(told, plan["collection"], plan["night"], challenger)
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


def look_at_shadow(plan: dict[str, Any]) -> dict[str, object] | None:
    """Return how a challenger was judged by its shadow; None while that goes on, or this look failed.

    It is looked at for weeks, so that a store that does not answer now, or a collection's file that somebody is
    editing, only costs the look.
    """
    from nightglass.retraining import flow

    try:
        options = storage_options(read_collection(Path(plan["collection_file"])))
        return flow.shadow_challenger(flow.RetrainPlan(**plan), storage_options=options)
    except NightglassError as error:
        if not (error.can_heal or isinstance(error, ConfigurationError)):
            raise
        log.warning("%s: this look failed, the shadow goes on: %s", plan["collection"], error)
        return None


def promote_or_skip(plan: dict[str, Any], approved_by: str | None, options: dict[str, Any] | None) -> "Promotion":
    """Make the challenger the champion.

    Raises:
        AirflowSkipException: There is another champion by now; no fault of the run, and its conclusion says so.
    """
    from nightglass.retraining import flow

    try:
        return flow.promote_challenger(flow.RetrainPlan(**plan), approved_by=approved_by, storage_options=options)
    except ChampionChangedError as error:
        raise AirflowSkipException(str(error)) from error
