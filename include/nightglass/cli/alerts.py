"""``nightglass alerts``: try the addresses that people are told through."""

from typing import Any

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress


@click.group()
def alerts() -> None:
    """Try the addresses that people are told through."""


@alerts.command(name="test")
@click.option("--collection", help="YAML file of a collection, or its name: whose name the message has.")
@json_option
def send_test(*, collection: str | None, as_json: bool) -> None:
    """Send a message about nothing to every address of NIGHTGLASS_ALERT_URLS.

    What an Airflow connection holds is known to Airflow alone: for those there is the DAG `try_alerts`.
    """
    from nightglass.alerting.trying import try_addresses
    from nightglass.errors import ConfigurationError
    from nightglass.settings import read_settings

    name = "try_alerts" if collection is None else named_collection(collection)[1].name
    settings = read_settings()
    urls = settings.alert_urls.split()
    if not urls:
        raise ConfigurationError("NIGHTGLASS_ALERT_URLS: expected Apprise addresses, got none")
    with showing_progress():
        told = try_addresses(name, urls, settings)
    print_result({"told": told}, as_json=as_json, tell=_tell)


def _tell(result: dict[str, Any]) -> str:
    return f"{result['told']} addresses took the message: look whether it arrived"
