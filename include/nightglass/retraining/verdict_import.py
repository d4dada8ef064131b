"""From the lines of a file of verdicts to verdicts on images: all of them, or the line that cannot be."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nightglass.errors import InputError
from nightglass.retraining.listed_night import ListedNight
from nightglass.retraining.verdict_csv import VerdictLine
from nightglass.retraining.verdicts import NewVerdict


@dataclass(frozen=True)
class ImportedVerdicts:
    """The verdicts of a file in the order of its lines.

    ``bulk`` counts those on whole slices and nights, ``covered`` the images that these hold for; an image that two of
    them cover counts twice.
    """

    verdicts: list[NewVerdict]
    bulk: int
    covered: int


def resolve_lines(
    lines: Iterable[VerdictLine], open_night: Callable[[str], ListedNight], by: str | None
) -> ImportedVerdicts:
    """Find the image, slice or night of every line.

    Args:
        lines: Of a file; a line with a sha256 is on that content, wherever it lies now.
        open_night: Gives the images of a night, and raises where the night is no date.
        by: Who said what the lines do not say who said.

    Raises:
        InputError: A line's night, image or slice is unknown, nobody said it, or another line of the same person
            contradicts it.
    """
    given: list[NewVerdict] = []
    bulk = covered = 0
    nights = _NightsOfLines(list(lines), open_night)
    seen: dict[tuple[object, ...], NewVerdict] = {}
    for line in nights.lines:
        try:
            sha256, count = nights.find(line)
        except InputError as error:
            raise InputError(f"{line.where}: {error}") from error
        if line.scope != "image":
            bulk, covered = bulk + 1, covered + count
        verdict = _new_verdict(line, sha256, by)
        other = seen.setdefault((verdict.subject, verdict.by, verdict.at), verdict)
        if other.verdict != verdict.verdict:
            raise InputError(
                f"{line.where}: expected one verdict of {verdict.by!r} here, got {verdict.verdict} "
                f"after {other.verdict} (a column `at` would say which is later)"
            )
        given.append(verdict)
    return ImportedVerdicts(given, bulk, covered)


class _NightsOfLines:
    """The nights that some lines name, each opened once and asked once for all the images of its lines."""

    def __init__(self, lines: list[VerdictLine], open_night: Callable[[str], ListedNight]) -> None:
        self.lines = lines
        self._open_night = open_night
        self._nights: dict[str, ListedNight] = {}
        self._contents: dict[str, dict[str, str | None]] = {}
        self._paths: dict[str, set[str]] = defaultdict(set)
        for line in lines:
            if line.path is not None and line.sha256 is None:
                self._paths[line.night].add(line.path)

    def find(self, line: VerdictLine) -> tuple[str | None, int]:
        """Return the content that a line is on, None for a slice or night, and how many images it covers there."""
        if line.night not in self._nights:
            self._nights[line.night] = self._open_night(line.night)
        night = self._nights[line.night]
        if line.scope == "night":
            return None, len(night)
        if line.slice is not None:
            return None, night.count_slice(line.slice)
        return line.sha256 or self._find_content(night, line.night, str(line.path)), 1

    def _find_content(self, night: ListedNight, name: str, path: str) -> str:
        if name not in self._contents:
            self._contents[name] = night.find_contents(self._paths[name])
        return self._contents[name].get(path) or night.find_content(path)  # which says what is wrong with it


def _new_verdict(line: VerdictLine, sha256: str | None, by: str | None) -> NewVerdict:
    said_by = line.by or by
    if not said_by:
        raise InputError(f"{line.where}: expected who gave the verdict, in the column `by` or --by, got nobody")
    return NewVerdict(
        night=line.night,
        scope=line.scope,
        path=line.path,
        sha256=sha256,
        slice=line.slice,
        verdict=line.verdict,
        by=said_by,
        note=line.note,
        source="import",
        at=line.at,
    )
