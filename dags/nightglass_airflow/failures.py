"""What happens when a task fails: whether it is tried again, and who hears of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.types import RuntimeTaskInstanceProtocol

from nightglass.collections import Collection
from nightglass.errors import ValidationFailedError
from nightglass.settings import read_settings
from nightglass_airflow.connections import alert_urls
from nightglass_airflow.runs import night_of

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
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": RETRY_POLICY,
        "on_failure_callback": _failure_teller(collection),
    }


def _failure_teller(collection: Collection | None) -> Callable[[Context], None]:
    def tell_failure(context: Context) -> None:
        """Tell the collection's people, once a run, which task failed and why."""
        from nightglass.alerts import send_alert

        error, ti = context.get("exception"), context["ti"]
        # validate_night has told them already, and more: which expectations failed.
        if isinstance(error, ValidationFailedError) or not _is_first_failure(ti):
            return
        settings = read_settings()
        subject, urls = ti.dag_id, tuple(settings.alert_urls.split())
        if collection:
            if ti.dag_id == f"nightly_{collection.name}":
                subject = f"{collection.name} {night_of(collection, context['dag_run'], context['params'])}"
            urls = alert_urls(collection) if "failure" in collection.alerts.about else ()
        if urls:
            run_url = f"{settings.ui_url}/dags/{ti.dag_id}/runs/{quote(ti.run_id)}"
            reason = error or "its process was killed, or timed out"
            title = f"Nightglass: {subject}: {ti.task_id} failed"
            send_alert(urls, title=title, body=f"{reason}\nAirflow: {run_url}")

    return tell_failure


def _is_first_failure(ti: RuntimeTaskInstanceProtocol) -> bool:
    """Tell whether no other shard of a mapped task has failed in this run; hundreds may."""
    if ti.map_index is None or ti.map_index < 0:
        return True
    failed = ti.get_ti_count(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], states=["failed"])
    return failed == 0
