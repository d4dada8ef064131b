"""``nightglass forget``: delete one image everywhere, on request."""

import sys
from typing import Any

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress
from nightglass.errors import InputError


@click.command()
@click.option("--collection", required=True, help="YAML file of a collection, or its name.")
@click.option("--sha256", help="Of the image's content: it goes from every night that has it.")
@click.option("--night", metavar="DATE", help="YYYY-MM-DD: of --path, in place of --sha256.")
@click.option("--path", help="The image's path in that night; copies of its content go too.")
@click.option("--reason", required=True, help="Why; the log of deletions keeps it.")
@click.option("--by", help="Who asks for it; default: the user of this command.")
@click.option("--original", is_flag=True, help="Remove the image's own file too, wherever it is known to lie.")
@click.option("--idle", is_flag=True, help="No run of the collection goes on: unfinished nights were given up.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
@json_option
def forget(
    *,
    collection: str,
    sha256: str | None,
    night: str | None,
    path: str | None,
    reason: str,
    by: str | None,
    original: bool,
    idle: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete an image from every night, report, detector, verdict and run; this cannot be undone."""
    from nightglass.errors import StorageError
    from nightglass.maintenance.asking import request_deletion
    from nightglass.maintenance.forget import forget_image
    from nightglass.night.plan import NightPlace
    from nightglass.settings import name_user, read_settings

    if (sha256 is None) == (path is None) or (path is None) != (night is None):
        raise click.UsageError("expected --sha256, or --night and --path")
    file, found = named_collection(collection)
    with showing_progress():
        place = (NightPlace.open(str(file), night, None, None), night, path) if night and path else None
        request = request_deletion(
            found,
            sha256=sha256,
            place=place,
            by=name_user() if by is None else by,
            reason=reason,
            is_original_deleted=original,
        )
        _confirm(request.digest, original=original, yes=yes)
        deletion = forget_image(found, read_settings(), request, is_idle=lambda: idle)
    print_result(deletion.model_dump(mode="json"), as_json=as_json, tell=_tell)
    if deletion.waiting:
        raise StorageError(
            f"{found.name}: not done yet: {'; '.join(deletion.waiting)}; ask again, or let maintenance end it"
        )


def _confirm(digest: str, *, original: bool, yes: bool) -> None:
    if yes:
        return
    question = f"Delete the image {digest[:12]}… everywhere{', its own file too' if original else ''}?"
    if not sys.stdin.isatty():
        raise InputError(f"{question} Expected --yes, got nobody to ask")
    if not click.confirm(question, err=True):
        raise InputError("not confirmed: nothing was deleted")


def _tell(result: dict[str, Any]) -> str:
    state = f"done at {result['finished_at'][:19].replace('T', ' ')}" if result["finished_at"] else "not done yet"
    lines = [
        f"{result['request']['digest'][:12]}: {state if result['is_new'] else f'{state}, when it was asked before'}"
    ]
    lines += [f"{count:6} {kind}" for kind, count in sorted(result["removed"].items())]
    if result["nights"]:
        lines.append(f"nights: {', '.join(result['nights'])}")
    if result["models"]:
        lines.append(f"fitted on it, retrain: {', '.join(result['models'])}")
    if not result["removed"] and result["finished_at"]:
        lines.append("it was nowhere; no listing takes it up from now on")
    return "\n".join(lines)
