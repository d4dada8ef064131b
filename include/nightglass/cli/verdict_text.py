"""What the verdict commands say to people; names of files may hold anything, so they are written out."""

from typing import Any

from nightglass.night.report.names import plain

_Row = dict[str, Any]


def tell_added(result: _Row) -> str:
    """Return what became of one verdict."""
    images = "1 image" if result["images"] == 1 else f"{result['images']:,} images"
    if not result["added"]:
        return f"nothing new: {plain(result['by'])} has said so before ({_subject(result)})"
    return f"{result['verdict']}: {_subject(result)} ({images})"


def tell_verdicts(result: _Row) -> str:
    """Return one line a verdict."""
    lines = [f"{_said(row)}  {_subject(row)}{_note(row)}" for row in result["verdicts"]]
    return "\n".join(lines) or f"no verdicts on {result['collection']}"


def tell_conflicts(result: _Row) -> str:
    """Return each disputed subject with its verdicts in order; the last one is in effect."""
    lines = []
    for given in result["conflicts"]:
        lines.append(_subject(given[-1]))
        lines += [f"    {_said(row)}{_note(row)}" for row in given[:-1]]
        lines.append(f"  * {_said(given[-1])}{_note(given[-1])}")
    if not lines:
        return f"no conflicting verdicts on {result['collection']}"
    return "\n".join([*lines, "* in effect"])


def _said(row: _Row) -> str:
    return f"{row['at'][:19]}Z  {row['verdict']:6}  {plain(row['by'])}"


def _subject(row: _Row) -> str:
    if row["scope"] == "image":
        return f"{row['night']}  {plain(row['path'])}"
    return f"{row['night']}  {'all' if row['scope'] == 'night' else 'slice ' + plain(row['slice'])}"


def _note(row: _Row) -> str:
    return f"  ({plain(row['note'])})" if row["note"] else ""
