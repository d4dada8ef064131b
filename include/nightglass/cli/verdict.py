"""``nightglass verdict``: what people say of images, one by one or as CSV."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from nightglass.cli.common import json_option, named_collection, print_result, showing_progress
from nightglass.errors import InputError
from nightglass.retraining.verdicts import NewVerdict, VerdictsInEffect, Word, find_conflicts
from nightglass.settings import name_user

if TYPE_CHECKING:
    from nightglass.retraining.listed_night import ListedNight
    from nightglass.store import Store

_collection_option = click.option("--collection", required=True, help="YAML file of a collection, or its name.")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask before a verdict on many images.")
_by_option = click.option("--by", help="Who says it; default: the user of this command.")


@click.group()
def verdict() -> None:
    """Say which images are defect or normal; retraining learns from it."""


@verdict.command()
@_collection_option
@click.option("--night", required=True, metavar="DATE", help="YYYY-MM-DD.")
@click.option("--path", help="An image of the night; the verdict holds for every copy of it.")
@click.option("--slice", "slice_name", help="A slice of the night, such as camera=left.")
@click.option("--all", "is_all", is_flag=True, help="The whole night: what it shows is the new normal, say.")
@click.option("--verdict", "word", required=True, type=click.Choice(get_args(Word)))
@_by_option
@click.option("--note", default="", help="Why.")
@_yes_option
@json_option
def add(
    *,
    collection: str,
    night: str,
    path: str | None,
    slice_name: str | None,
    is_all: bool,
    word: Word,
    by: str | None,
    note: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Give a verdict on an image, on a slice of a night, or on a whole night."""
    from nightglass.cli.verdict_text import tell_added

    if (path is not None) + (slice_name is not None) + is_all != 1:
        raise click.UsageError("expected one of --path, --slice and --all")
    file, found = named_collection(collection)
    subject, count = _find_subject(_open_night(file, night), path, slice_name)
    if path is None:
        _confirm(f"{word} for {slice_name or 'all'} of {night}: {count:,} images?", yes=yes)
    given = NewVerdict(night=night, verdict=word, by=by or name_user(), note=note, source="cli", **subject)
    with _open_store() as store:
        added = store.add_verdicts(found.name, [given], datetime.now(UTC))
    result = {"collection": found.name, **given.model_dump(mode="json", exclude={"at"}), "images": count}
    print_result(result | {"added": added}, as_json=as_json, tell=tell_added)


def _find_subject(images: "ListedNight", path: str | None, slice_name: str | None) -> tuple[dict[str, Any], int]:
    """Return what a verdict is on, and how many images of the night it covers."""
    if path is not None:
        path = path.removeprefix("./")
        sha256 = images.find_content(path)
        return {"scope": "image", "path": path, "sha256": sha256}, images.count_copies(sha256)
    if slice_name is not None:
        return {"scope": "slice", "slice": slice_name}, images.count_slice(slice_name)
    return {"scope": "night"}, len(images)


@verdict.command("import")
@_collection_option
@click.option("--csv", "csv_file", required=True, type=click.Path(path_type=Path), help="night,path,verdict and more.")
@_by_option
@_yes_option
@json_option
def import_(*, collection: str, csv_file: Path, by: str | None, yes: bool, as_json: bool) -> None:
    """Give the verdicts of a CSV file, all of them or none.

    Columns: night, path, verdict; if wanted also scope, slice, by, note, at, sha256.
    """
    from nightglass.retraining.verdict_csv import read_verdict_lines
    from nightglass.retraining.verdict_import import resolve_lines

    now = datetime.now(UTC)
    file, found = named_collection(collection)
    lines = read_verdict_lines(csv_file, now)
    if not lines:
        raise InputError(f"{csv_file}: expected verdicts, got only a header")
    with showing_progress():
        imported = resolve_lines(lines, lambda night: _open_night(file, night), by or name_user())
    if imported.bulk:
        _confirm(f"{imported.bulk} verdicts on slices and nights: {imported.covered:,} images?", yes=yes)
    with _open_store() as store:
        added = store.add_verdicts(found.name, imported.verdicts, now)
    print_result(
        {"collection": found.name, "verdicts": len(lines), "added": added, "images_in_bulk": imported.covered},
        as_json=as_json,
        tell=lambda result: f"{result['added']} of {result['verdicts']} verdicts are new",
    )


@verdict.command()
@_collection_option
@click.option("--csv", "csv_file", required=True, type=click.Path(path_type=Path), help="The file to write.")
@json_option
def export(*, collection: str, csv_file: Path, as_json: bool) -> None:
    """Write the verdicts in effect as CSV, for a spreadsheet or for `import`."""
    from nightglass.retraining.verdict_csv import format_verdicts
    from nightglass.storage import open_folder

    if csv_file.is_dir():
        raise InputError(f"--csv: expected the name of a CSV file, got the folder {csv_file}")
    _, found = named_collection(collection)
    with _open_store() as store:
        in_effect = VerdictsInEffect(store.verdicts(found.name)).all()
    open_folder(csv_file.absolute().parent).write_bytes(csv_file.name, format_verdicts(in_effect).encode())
    print_result(
        {"collection": found.name, "verdicts": len(in_effect), "csv": str(csv_file)},
        as_json=as_json,
        tell=lambda result: f"{result['verdicts']} verdicts: {result['csv']}",
    )


@verdict.command("list")
@_collection_option
@click.option("--night", type=click.DateTime(["%Y-%m-%d"]), help="Only verdicts that were given on this night.")
@click.option("--conflicts", is_flag=True, help="What got different verdicts over time, with who and when.")
@json_option
def list_(*, collection: str, night: datetime | None, conflicts: bool, as_json: bool) -> None:
    """Show the verdicts in effect, newest first."""
    from nightglass.cli.verdict_text import tell_conflicts, tell_verdicts

    _, found = named_collection(collection)
    with _open_store() as store:
        given = store.verdicts(found.name)
    name = None if night is None else night.date().isoformat()
    if conflicts:
        disputed = [said for said in find_conflicts(given) if name in {None, *(each.night for each in said)}]
        shown = [[each.model_dump(mode="json") for each in said] for said in disputed]
        print_result({"collection": found.name, "conflicts": shown}, as_json=as_json, tell=tell_conflicts)
        return
    in_effect = reversed(VerdictsInEffect(given).all())
    rows = [each.model_dump(mode="json") for each in in_effect if name in {None, each.night}]
    print_result({"collection": found.name, "verdicts": rows}, as_json=as_json, tell=tell_verdicts)


def _open_night(file: Path, night: str) -> "ListedNight":
    from nightglass.night.plan import NightPlace
    from nightglass.retraining.listed_night import ListedNight

    place = NightPlace.open(str(file), night, None, None)
    return ListedNight(place.out, place.collection.slices)


def _open_store() -> "Store":
    from nightglass.settings import read_settings
    from nightglass.store import Store

    settings = read_settings()
    store = Store.connect(settings.database_url, settings.sql_dir)
    store.migrate()
    return store


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{question} Expected --yes, got nobody to ask")
    if not click.confirm(question, err=True):
        raise InputError("not confirmed: no verdict was given")
