"""What a collection's Airflow connections give to Nightglass: storage credentials and alert addresses."""

import logging
from typing import Any

from airflow.sdk import Connection, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from nightglass.collections import Collection
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings
from nightglass_airflow.runs import name_run

log = logging.getLogger(__name__)


def storage_options(collection: Collection) -> dict[str, Any] | None:
    """Return fsspec's options for the collection's store; None: the environment's credentials."""
    from nightglass import connections

    if not collection.connection:
        return None
    found = _connection(collection, collection.connection)
    return connections.storage_options(
        found.conn_type, found.login, found.password, found.host, found.port, found.extra_dejson
    )


def alert_urls(collection: Collection) -> tuple[str, ...]:
    """Return the Apprise addresses that hear of this collection.

    They are the connection's ``extra.urls`` or its own URI, or without a connection NIGHTGLASS_ALERT_URLS. A connection
    that is missing or wrong costs the alerts, never the night.
    """
    if not collection.alerts.connection:
        return tuple(read_settings().alert_urls.split())
    try:
        found = _connection(collection, collection.alerts.connection)
        urls = found.extra_dejson.get("urls")
    except Exception as error:  # noqa: BLE001 - Airflow's own database or secrets backend may be what is wrong
        # Of an unexpected error only the kind: its text may quote what the connection holds.
        reason = error if isinstance(error, ConfigurationError) else type(error).__name__
        log.warning("%s: nobody is told: %s", collection.name, reason)
        return ()
    if isinstance(urls, str):
        return tuple(urls.split())
    return tuple(map(str, urls)) if isinstance(urls, list) and urls else (found.get_uri(),)


def people(collection: Collection) -> dict[str, Any]:
    """Return whom a task may tell, and the address of its run for them: arguments of what may tell them."""
    run = get_current_context()["dag_run"]
    return {"alert_urls": alert_urls(collection), "run_url": name_run(run.dag_id, run.run_id)}


def _connection(collection: Collection, name: str) -> Connection:
    try:
        return Connection.get(name)
    except AirflowNotFoundException as error:
        raise ConfigurationError(
            f"{collection.name}: expected an Airflow connection '{name}', got none of that name"
        ) from error
