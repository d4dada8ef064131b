"""``nightglass backup`` and ``nightglass restore``: the results and MLflow."""

from typing import Any

import click

from nightglass.cli.common import json_option, print_result, showing_progress


@click.command()
@click.option("--out", help="Folder or s3:// address of all backups; default: NIGHTGLASS_BACKUP_URL.")
@click.option("--keep-days", type=click.IntRange(1, 36500), help="Remove backups that are older, but for the newest.")
@json_option
def backup(*, out: str | None, keep_days: int | None, as_json: bool) -> None:
    """Back up the results, MLflow's database and MLflow's files; nothing stops meanwhile."""
    from nightglass.errors import ConfigurationError
    from nightglass.maintenance.backup import write_backup
    from nightglass.settings import read_settings
    from nightglass.storage import open_folder

    settings = read_settings()
    if not (url := out or settings.backup_url):
        raise ConfigurationError("--out: expected where backups are kept, got neither it nor NIGHTGLASS_BACKUP_URL")
    with showing_progress():
        written = write_backup(settings, open_folder(url), keep_days=keep_days)
    print_result(written.model_dump(), as_json=as_json, tell=_tell_backup)


@click.command()
@click.option("--from", "source", required=True, help="Folder or s3:// address of all backups.")
@click.option("--name", help="Which backup, such as 20260102T030405Z; default: the newest.")
@json_option
def restore(*, source: str, name: str | None, as_json: bool) -> None:
    """Restore a backup into an empty results database and an empty MLflow, and check it; anything else is refused."""
    from nightglass.maintenance.restore import restore_backup
    from nightglass.settings import read_settings
    from nightglass.storage import open_folder

    with showing_progress():
        restored = restore_backup(read_settings(), open_folder(source), name)
    print_result(restored.model_dump(), as_json=as_json, tell=_tell_restore)


def _tell_backup(result: dict[str, Any]) -> str:
    size, new = f"{result['size_bytes'] / 1e6:,.1f} MB", f"{result['new_bytes'] / 1e6:,.1f} MB of it new"
    lines = [
        f"backup: {result['url']}/{result['name']}",
        f"{result['results_rows']:,} rows of results, {result['tracking_rows']:,} rows of MLflow",
        f"{result['files']:,} files of MLflow; {size}, {new}",
        *_tell_champions(result),
    ]
    if result["removed"]:
        lines.append(f"removed as too old: {', '.join(result['removed'])}")
    return "\n".join(lines)


def _tell_restore(result: dict[str, Any]) -> str:
    def told(is_new: object) -> str:
        return "restored" if is_new else "there already"

    return "\n".join(
        [
            f"results: {result['results_rows']:,} rows {told(result['new_results'])}",
            f"MLflow: {result['tracking_rows']:,} rows {told(result['new_tracking'])}",
            f"MLflow: {result['new_files']:,} of {result['files']:,} files restored",
            *_tell_champions(result),
        ]
    )


def _tell_champions(result: dict[str, Any]) -> list[str]:
    return [f"champion of {name}: {version}" for name, version in sorted(result["champions"].items())]
