"""``nightglass maintenance``: what the maintenance DAG does every day, by hand."""

from typing import Any

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress, visible


@click.group()
def maintenance() -> None:
    """Remove what is too old or was left behind, compact databases, and look at deletions."""


@maintenance.command()
@click.option("--collection", required=True, help="YAML file of a collection, or its name.")
@click.option("--idle", is_flag=True, help="No run of the collection goes on: leftovers may go.")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and what stays and why.")
@json_option
def tidy(*, collection: str, idle: bool, dry_run: bool, as_json: bool) -> None:
    """Go on with deletions, and remove what the collection's file says is too old."""
    from nightglass.maintenance.upkeep import tidy_collection
    from nightglass.settings import read_settings

    _, found = named_collection(collection)
    with showing_progress():
        tidied = tidy_collection(found, read_settings(), is_idle=lambda: idle, dry_run=dry_run)
    print_result(tidied.model_dump(mode="json"), as_json=as_json, tell=_tell_tidied)


@maintenance.command()
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def compact(*, dry_run: bool, as_json: bool) -> None:
    """Let the databases give up unused room, and remove this machine's old temporary files."""
    from nightglass.maintenance.upkeep import compact as compact_all
    from nightglass.settings import read_settings

    with showing_progress():
        done = compact_all(read_settings(), dry_run=dry_run)
    print_result(done.model_dump(mode="json"), as_json=as_json, tell=_tell_compacted)


@maintenance.command()
@click.option("--collection", help="YAML file of a collection, or its name; default: all.")
@json_option
def deletions(*, collection: str | None, as_json: bool) -> None:
    """Show who asked for which images to be deleted, and what went."""
    from nightglass.settings import read_settings
    from nightglass.store import Store

    name = None if collection is None else named_collection(collection)[1].name
    settings = read_settings()
    with Store.connect(settings.database_url, settings.sql_dir) as store:
        store.migrate()
        rows = store.upkeep.deletions.list_rows(name)
    print_result({"collection": name, "deletions": rows}, as_json=as_json, tell=_tell_deletions)


def _tell_tidied(result: dict[str, Any]) -> str:
    verb = "would go" if result["dry_run"] else "removed"
    lines = [f"{each['night']} {each['kind']}: {verb}, after {each['after_days']} days" for each in result["removed"]]
    lines += [f"{each['night']} {each['kind']}: kept: {each['kept_because']}" for each in result["kept"]]
    lines += [f"a deletion waits: {why}" for why in result["waiting"]]
    freed = f"{result['removed_files']:,} files, {result['freed_bytes'] / 1e6:,.1f} MB {verb}"
    left = f"{result['unfinished_files']:,} files of unfinished runs, {result['aborted_uploads']:,} uploads {verb}"
    return "\n".join([*lines, freed, left])


def _tell_compacted(result: dict[str, Any]) -> str:
    done = ", ".join(result["databases"]) or "none"
    return f"compacted: {done}\n{result['temporary']:,} temporary files and folders"


def _tell_deletions(result: dict[str, Any]) -> str:
    lines = []
    for row in result["deletions"]:
        state = f"done {row['finished_at'][:16]}" if row["finished_at"] else "not done yet"
        nights = len(row["nights"].splitlines())
        what = f"{row['collection']} {row['request'][:12]}, {nights} nights, {state}: {row['reason']}"
        lines.append(f"{row['asked_at'][:16]} {row['by']}: {what}")
    return "\n".join(visible(line) for line in lines) or "nobody asked for anything to be deleted"
