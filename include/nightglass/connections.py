"""What an Airflow connection means for fsspec, without importing Airflow."""

from collections.abc import Mapping
from typing import Any

from nightglass.errors import ConfigurationError


def storage_options(
    conn_type: str,
    login: str | None,
    password: str | None,
    host: str | None = None,
    port: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return fsspec options of an S3 connection; an empty login leaves it to the environment or the instance role.

    Args:
        conn_type: ``aws`` or ``s3``.
        login: Access key.
        password: Secret key.
        host: Address of a store that is not AWS; ``extra.endpoint_url`` comes before it.
        port: Its port.
        extra: ``endpoint_url``, ``region_name`` and ``aws_session_token`` as in Airflow's Amazon provider.

    Raises:
        ConfigurationError: The connection is of another type, or has a login without a password.
    """
    if conn_type not in {"aws", "s3"}:
        raise ConfigurationError(f"connection: expected type aws or s3, got '{conn_type}'")
    if bool(login) != bool(password):
        raise ConfigurationError("connection: expected both login (access key) and password (secret), got one")
    details = dict(extra or {})
    endpoint = details.get("endpoint_url") or _address(host, port)
    client = {"region_name": details["region_name"]} if details.get("region_name") else {}
    options: dict[str, Any] = {"key": login, "secret": password, "token": details.get("aws_session_token")}
    options = {name: value for name, value in options.items() if value}
    if endpoint:
        options["endpoint_url"] = endpoint
    if client:
        options["client_kwargs"] = client
    return options


def _address(host: str | None, port: int | None) -> str | None:
    if not host:
        return None
    address = host if "://" in host else f"http://{host}"
    return f"{address}:{port}" if port else address
