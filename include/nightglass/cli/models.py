"""``nightglass models``: the versions of a collection's model, who made which champion, and changing it."""

from typing import TYPE_CHECKING, Any

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress

if TYPE_CHECKING:
    from nightglass.collections import Collection
    from nightglass.promotion import Promotion

_collection_option = click.option("--collection", required=True, help="YAML file of a collection, or its name.")
_reason_option = click.option("--reason", required=True, help="Why; the history keeps it.")
_by_option = click.option("--by", help="Who decides it; default: the user of this command.")
_METRICS = ("auroc", "images", "image_threshold", "false_alarm_rate")


@click.group()
def models() -> None:
    """List a collection's models, and promote one or roll back to one."""


@models.command(name="list")
@_collection_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Newest versions.")
@json_option
def list_models(*, collection: str, limit: int, as_json: bool) -> None:
    """Show the newest versions of the model."""
    from nightglass.champions import Champions
    from nightglass.settings import read_settings

    _, found = named_collection(collection)
    with showing_progress(), Champions.open(found, read_settings()) as champions:
        history, outcomes = champions.read_log(), champions.retraining_outcomes()
        versions = champions.registry.list_versions(champions.name, limit)
        alias = champions.registry.read_champion(champions.name).version
    champion = history[0].version if history else alias
    rows = [
        {
            "version": each.version,
            "is_champion": each.version == champion,
            "aliases": each.aliases,
            "created_at": each.created_at,
            "data_version": each.tags.get("data_version"),
            "metrics": each.metrics,
            "retraining": outcomes.get(each.version),
        }
        for each in versions
    ]
    result = {
        "collection": found.name,
        "model": found.model_name,
        "champion": champion,
        "alias": alias,
        "versions": rows,
    }
    print_result(result, as_json=as_json, tell=_tell_list)


@models.command()
@_collection_option
@json_option
def history(*, collection: str, as_json: bool) -> None:
    """Show which version was production, when, why, and who said so."""
    from nightglass.champions import Champions
    from nightglass.settings import read_settings

    _, found = named_collection(collection)
    with showing_progress(), Champions.open(found, read_settings()) as champions:
        events = [event.model_dump(mode="json") for event in champions.read_log()]
    result = {"collection": found.name, "model": found.model_name, "history": events}
    print_result(result, as_json=as_json, tell=_tell_history)


@models.command()
@_collection_option
@click.option("--version", required=True, help="Number of a registered version.")
@_reason_option
@_by_option
@json_option
def promote(*, collection: str, version: str, reason: str, by: str | None, as_json: bool) -> None:
    """Make a version the champion, without gates: the reason is all the proof there is."""
    from nightglass.promotion import promote as promote_version
    from nightglass.settings import name_user, read_settings

    _, found = named_collection(collection)
    with showing_progress():
        promotion = promote_version(
            found, version, read_settings(), by=name_user() if by is None else by, reason=reason
        )
        _tell_people(found, promotion)
    _print_promotion(promotion, as_json=as_json)


@models.command()
@_collection_option
@click.option("--version", help="A version that was champion before; default: the one that the champion replaced.")
@_reason_option
@_by_option
@json_option
def rollback(*, collection: str, version: str | None, reason: str, by: str | None, as_json: bool) -> None:
    """Make a version that was champion before the champion again."""
    from nightglass.promotion import roll_back
    from nightglass.settings import name_user, read_settings

    _, found = named_collection(collection)
    with showing_progress():
        promotion = roll_back(found, version, read_settings(), by=name_user() if by is None else by, reason=reason)
        _tell_people(found, promotion)
    _print_promotion(promotion, as_json=as_json)


def _tell_people(collection: "Collection", promotion: "Promotion") -> None:
    """Tell the people of NIGHTGLASS_ALERT_URLS; those behind an Airflow connection are known to Airflow alone."""
    from nightglass.alerting import audience_of, tell
    from nightglass.alerting.champion_wording import about_champion
    from nightglass.settings import read_settings

    settings, alert = read_settings(), about_champion(promotion.entry, None)
    if promotion.is_new and collection.alerts.connection is None and collection.alerts.tells(alert.kind):
        tell(alert, audience_of(collection, settings.alert_urls.split()), settings)


def _print_promotion(promotion: "Promotion", *, as_json: bool) -> None:
    entry = promotion.entry
    result = {
        "collection": entry.collection,
        "model": entry.model_name,
        "champion": promotion.champion.version,
        "is_new": promotion.is_new,
        "entry": entry.model_dump(mode="json"),
    }
    print_result(result, as_json=as_json, tell=_tell_promotion)


def _tell_promotion(result: dict[str, Any]) -> str:
    entry = result["entry"]
    if not result["is_new"]:
        return f"{result['model']}: {result['champion']} is the champion already, since {entry['at']}"
    return f"{result['model']}: {result['champion']} is the champion now, {entry['previous_version'] or 'none'} was"


def _tell_list(result: dict[str, Any]) -> str:
    if not result["versions"]:
        return f"{result['model']}: no version is registered yet"
    lines = [_tell_version(row) for row in result["versions"]]
    if result["alias"] != result["champion"]:
        lines.append(
            f"MLflow's alias champion points to {result['alias'] or 'nothing'}, the promotion log has "
            f"{result['champion']}: the alias follows with the next night, promotion or rollback"
        )
    return "\n".join([f"{result['model']} ({result['collection']})", *lines])


def _tell_version(row: dict[str, Any]) -> str:
    metrics = [f"{name} {row['metrics'][name]:.4g}" for name in _METRICS if name in row["metrics"]]
    parts = [
        f"{row['version']:>4}",
        f"{'champion' if row['is_champion'] else ', '.join(row['aliases']):10}",
        row["created_at"][:16].replace("T", " "),
        f"data {(row['data_version'] or 'unknown')[:12]}",
        f"retraining: {row['retraining']}" if row["retraining"] else "",
        ", ".join(metrics),
    ]
    return "  ".join(_in_one_line(part) for part in parts if part)


def _tell_history(result: dict[str, Any]) -> str:
    if not result["history"]:
        return f"{result['model']}: no version was ever the champion"
    return "\n".join(map(_tell_event, result["history"]))


def _tell_event(event: dict[str, Any]) -> str:
    verb = event["event"].replace("_", " ")
    until = event["until"][:19].replace("T", " ") if event["until"] else "now"
    return _in_one_line(
        f"{event['at'][:19].replace('T', ' ')} - {until}: {event['version']} ({verb} by {event['by']}; "
        f"before: {event['previous_version'] or 'none'}): {event['reason']}"
    )


def _in_one_line(text: str) -> str:
    """Return the text without line breaks and without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
