"""What happens when a task fails: whether it is tried again, and who hears of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule

from nightglass.collections import Collection
from nightglass.errors import StorageError, ValidationFailedError
from nightglass.settings import read_settings
from nightglass_airflow.connections import alert_urls
from nightglass_airflow.metrics import success_counter
from nightglass_airflow.runs import name_run, night_of

if TYPE_CHECKING:
    from nightglass.alerting import Alert

#: What Nightglass can explain is tried again only where time heals it; what it cannot (a killed worker, a timeout)
#: has the ordinary retries. The first rule that fits counts.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule("nightglass.errors.AccessDeniedError", RetryAction.FAIL, reason="a person must act"),
        RetryRule("nightglass.errors.StorageError", RetryAction.RETRY, reason="the store may answer later"),
        RetryRule("nightglass.errors.NightglassError", RetryAction.FAIL, reason="trying again changes nothing"),
    ]
)


def default_arguments(collection: Collection | None) -> dict[str, Any]:
    """Return what every task of a collection's DAG has in common; None: its file cannot be read."""
    return {
        "owner": "nightglass",
        "retries": 3,
        "retry_delay": timedelta(seconds=read_settings().retry_seconds),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": RETRY_POLICY,
        "on_failure_callback": _failure_teller(collection),
        "on_success_callback": success_counter(collection),
    }


def _failure_teller(collection: Collection | None) -> Callable[[Context], None]:
    def tell_failure(context: Context) -> None:
        """Tell the collection's people which task failed and why; a service that does not answer is one matter."""
        from nightglass.alerting import Audience, audience_of, tell

        # validate_night has told them already, and more: which expectations failed.
        if isinstance(context.get("exception"), ValidationFailedError):
            return
        settings = read_settings()
        alert = _describe(collection, context)
        if collection is None:
            tell(alert, Audience("", tuple(settings.alert_urls.split())), settings)
        elif collection.alerts.tells(alert.kind):
            tell(alert, audience_of(collection, alert_urls(collection)), settings)

    return tell_failure


def _describe(collection: Collection | None, context: Context) -> "Alert":
    from nightglass.alerting.services import name_service
    from nightglass.alerting.wording import about_failure, about_service

    error, ti = context.get("exception"), context["ti"]
    run_url = name_run(ti.dag_id, ti.run_id)
    name, night = collection.name if collection else "", ""
    if collection and ti.dag_id == f"nightly_{name}":
        night = night_of(collection, context["dag_run"], context["params"])
    if isinstance(error, StorageError) and error.can_heal:
        return about_service(name_service(str(error)), name or ti.dag_id, night, ti.task_id, error, run_url)
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    return about_failure(
        name, night, ti.dag_id, ti.task_id, error, run_url, run=ti.run_id if name else "", is_mapped=is_mapped
    )
