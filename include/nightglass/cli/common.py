"""What the commands share: options, progress on stderr, results on stdout."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from nightglass.collections import Collection, default_collection, find_collection_files, read_collection
from nightglass.errors import ConfigurationError, InputError
from nightglass.plain_text import write_out
from nightglass.settings import read_settings

_FILE_SUFFIXES = (".yaml", ".yml")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
collection_option = click.option(
    "--collection",
    "collection_file",
    type=click.Path(path_type=Path),
    help="YAML file of a collection; without it every setting has its default.",
)


def choose_collection(path: Path | None) -> Collection:
    """Read the collection's file, or return the defaults."""
    return default_collection() if path is None else read_collection(path)


def named_collection(value: str) -> tuple[Path, Collection]:
    """Find a collection by its file, or by its name in the folder of the collections' files.

    Args:
        value: A path (it has a slash, or ends as a YAML file does), or the name of a collection or of its file.

    Returns:
        The file and what it says.

    Raises:
        InputError: No collection has this name, or two have.
        ConfigurationError: Its file is missing or wrong; another collection's broken file does not matter.
    """
    if "/" in value or value.endswith(_FILE_SUFFIXES):
        return Path(value), read_collection(Path(value))
    folder = read_settings().collections_dir
    known: list[tuple[Path, Collection]] = []
    broken: dict[str, ConfigurationError] = {}
    for path in find_collection_files(folder):
        try:
            known.append((path, read_collection(path)))
        except ConfigurationError as error:
            broken[path.stem] = error
    by_name = [pair for pair in known if pair[1].name == value]
    found = by_name or [pair for pair in known if pair[0].stem == value]
    if len(found) == 1:
        return found[0]
    if found:
        files = ", ".join(str(path) for path, _ in found)
        raise InputError(f"--collection: expected one file of the name {value!r}, got {files}")
    if value in broken:
        raise broken[value]
    names = ", ".join(sorted(collection.name for _, collection in known)) or "none"
    raise InputError(f"--collection: expected a YAML file, or a collection of {folder} ({names}), got {value!r}")


class ProgressBars:
    """One bar a stage on stderr; silent where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are through ``stage``."""
        if stage != self._stage or self._bar is None:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, unit="image", file=sys.stderr, disable=None)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def showing_progress() -> Iterator[ProgressBars]:
    """Give progress bars, and keep whatever libraries print off stdout meanwhile."""
    bars = ProgressBars()
    try:
        with redirect_stdout(sys.stderr):
            yield bars
    finally:
        bars.close()


def print_result(result: dict[str, Any], *, as_json: bool, tell: Callable[[dict[str, Any]], str]) -> None:
    """Print ``result`` as JSON, or as the text that ``tell`` makes of it."""
    click.echo(json.dumps(result) if as_json else visible(tell(result)))


def visible(text: str) -> str:
    """Return ``text`` as a terminal may have it: names of files and notes may hold what clears or fakes its lines."""
    return write_out(text, keep="\n")
