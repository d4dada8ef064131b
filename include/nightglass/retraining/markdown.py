"""Text that came from folders and people, made safe in Markdown: it reads as itself and makes nothing else."""

import re
from collections.abc import Sequence

from nightglass.night.report.names import plain

#: A backslash before any of these makes it a plain character (CommonMark 0.31, section 2.4). Not all punctuation, so
#: that a sentence stays readable where nobody renders it.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")
_BLOCK_START = re.compile(r"^(\d*)([-+#=.)])(?=\s|$|[-+#=])")
#: What a renderer would make a link of although nobody wrote one (GitHub Flavored Markdown, section 6.9).
_LINKED = re.compile(r"(?<=www)(?=\.)|(?=://|@)", re.IGNORECASE)
_WORD_JOINER = "\u2060"
_MOST_CHARACTERS = 600


def escape(text: str) -> str:
    """Return ``text`` as one line of Markdown that reads as it is; what is invisible in it is written out."""
    broken = _LINKED.sub(_WORD_JOINER, plain(text, _MOST_CHARACTERS))
    escaped = _SPECIAL.sub(r"\\\1", broken)
    return _BLOCK_START.sub(r"\1\\\2", escaped)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; every cell is escaped."""
    lines = [header, *rows]
    written = ["| " + " | ".join(map(escape, line)) + " |" for line in lines]
    written.insert(1, "|" + " --- |" * len(header))
    return "\n".join(written)


def code_block(text: str) -> str:
    """Return one line of code, fenced; what is invisible in it is written out."""
    shown = plain(text, _MOST_CHARACTERS)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"
