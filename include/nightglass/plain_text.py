"""Text from outside as one line that nothing obeys: not a terminal, not a log, not a reader's eye."""

import unicodedata

#: Control and format characters (those that turn the reading direction around among them), and separators of lines.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def write_out(text: str, *, keep: str = "") -> str:
    r"""Return ``text`` with what would be obeyed written out, such as ``\x1b``, but for the characters of ``keep``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _OBEYED
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
