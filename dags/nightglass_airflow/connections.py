"""What a collection's Airflow connections give to Nightglass: storage credentials and alert addresses."""

from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from nightglass.collections import Collection
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings


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

    They are the connection's ``extra.urls`` or its own URI, or without a connection NIGHTGLASS_ALERT_URLS.
    """
    if not collection.alerts.connection:
        return tuple(read_settings().alert_urls.split())
    found = _connection(collection, collection.alerts.connection)
    urls = found.extra_dejson.get("urls")
    if isinstance(urls, str):
        return tuple(urls.split())
    return tuple(urls) if urls else (found.get_uri(),)


def _connection(collection: Collection, name: str) -> Connection:
    try:
        return Connection.get(name)
    except AirflowNotFoundException as error:
        raise ConfigurationError(
            f"{collection.name}: expected an Airflow connection '{name}', got none of that name"
        ) from error
