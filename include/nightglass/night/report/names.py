r"""Text that came from folders and files, made safe to look at: what is invisible is written out.

A file name may hold markup, line breaks, or characters that turn the reading direction around, so that
``fdp.exe`` reads as ``exe.pdf``. Jinja escapes the markup; this module writes the rest as ``\u202e``.
"""

import re
import unicodedata

from markupsafe import Markup, escape

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_HEAD_SHARE = 0.6
SHOWN_CHARACTERS = 120
TITLE_CHARACTERS = 300


def plain(text: str, limit: int = TITLE_CHARACTERS) -> str:
    """Return ``text`` with invisible characters written out, its middle left out beyond ``limit``.

    The result is not escaped for HTML and never longer than ``limit + 1`` characters.
    """
    if _is_harmless(text, limit):
        return text
    return "".join(token for token, _ in _tokens(text, limit))


def name_html(text: str, limit: int = SHOWN_CHARACTERS) -> Markup:
    """Return a name as isolated HTML; a shortened one carries more of itself in its ``title``."""
    if _is_harmless(text, limit):
        return Markup('<bdi class="name">{}</bdi>').format(text)
    tokens = _tokens(text, limit)
    shown = Markup("").join(
        Markup('<span class="escape">{}</span>').format(token) if is_hidden else escape(token)
        for token, is_hidden in tokens
    )
    full = plain(text)
    title = Markup(' title="{}"').format(full) if full != "".join(token for token, _ in tokens) else Markup("")
    return Markup('<bdi class="name"{}>{}</bdi>').format(title, shown)


def without_credentials(url: str) -> str:
    """Return an address without the user and password that it may hold."""
    return _CREDENTIALS.sub("//", url)


def _is_harmless(text: str, limit: int) -> bool:
    """Tell whether nothing is to be written out or left out: nearly always, and hundreds of times on a page."""
    return len(text) <= limit and text.isascii() and text.isprintable()


def _tokens(text: str, limit: int) -> list[tuple[str, bool]]:
    """Split into ``(shown text, was hidden)``, one for each character, the middle replaced by an ellipsis."""
    if len(text) > 2 * limit:  # no more of it can be shown, whatever it holds
        head, tail = text[:limit], text[-limit:]
    else:
        head, tail = text, ""
    tokens = [_token(character) for character in head + tail]
    if not tail and sum(len(token) for token, _ in tokens) <= limit:
        return tokens
    start = _count_fitting(tokens, int(limit * _HEAD_SHARE))
    end = _count_fitting(tokens[::-1], limit - int(limit * _HEAD_SHARE))
    return [*tokens[:start], ("…", False), *tokens[len(tokens) - end :]]


def _token(character: str) -> tuple[str, bool]:
    category = unicodedata.category(character)
    if category not in _HIDDEN and not (category == "Zs" and character != " "):
        return character, False
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}", True
    return (f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"), True


def _count_fitting(tokens: list[tuple[str, bool]], limit: int) -> int:
    length = 0
    for count, (token, _) in enumerate(tokens):
        length += len(token)
        if length > limit:
            return count
    return len(tokens)
