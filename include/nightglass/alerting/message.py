"""An alert as people read it: a title, a sentence, what is behind it, and where to look; as text and as HTML."""

import hashlib
import html
import json
import re
from dataclasses import dataclass, field

#: Names and errors come from outside: no line breaks, control or bidirectional characters in what people read, and no
#: lone surrogates, which stand for bytes that are no UTF-8 and which no service takes.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]+")
#: What chats take for a call to everybody in the room.
_CALL = re.compile(r"@(?=everyone|here|channel|all\b)|<(?=[!@])", re.IGNORECASE)
_MAX_TITLE, _MAX_SENTENCE, _MAX_DETAILS = 200, 1500, 12


@dataclass(frozen=True)
class Link:
    """Where to look; ``url`` may be the address of a file that no browser opens."""

    label: str
    url: str

    @property
    def is_web(self) -> bool:
        """Tell whether a browser opens it."""
        return self.url.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Alert:
    """One matter that people hear of.

    Args:
        kind: Which of the words of ``alerts.about`` it belongs to.
        key: What it is about; the same key with the same content is told once.
        subject: The collection and the night or run.
        headline: The matter in a few words.
        sentence: The whole of it in a sentence or two.
        details: What is behind it, a line each.
        links: Where to look.
        collection: Whose it is.
        night: ``YYYY-MM-DD``, empty where it is about none.
        cause: Alerts of one cause in several collections are told together; empty where it stands alone.
        content: What makes it news when it changes; None: title, sentence and details.
    """

    kind: str
    key: str
    subject: str
    headline: str
    sentence: str
    details: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    collection: str = ""
    night: str = ""
    cause: str = field(default="", repr=False)
    content: str | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """One line: the subject of a mail."""
        parts = ["Nightglass", self.subject, self.headline]
        return make_harmless(": ".join(part for part in parts if part), _MAX_TITLE)

    @property
    def content_sha256(self) -> str:
        """What tells one content from another; links are none, as another run of the same night has others."""
        content = [self.title, self.sentence, *self.details] if self.content is None else [self.content]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def cause_sha256(self) -> str:
        """What those of one cause share; empty where it stands alone."""
        return hashlib.sha256(f"{self.kind}: {self.cause}".encode()).hexdigest() if self.cause else ""

    def as_text(self) -> str:
        """Return the body as plain text."""
        details = [f"- {line}" for line in self._details()]
        links = [f"{link.label}: {make_harmless(link.url, _MAX_SENTENCE)}" for link in self.links]
        paragraphs = [[make_harmless(self.sentence, _MAX_SENTENCE)], details, links]
        return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)

    def as_html(self) -> str:
        """Return the body as HTML for a mail; every word of it is escaped."""
        parts = [f"<p>{_escape(make_harmless(self.sentence, _MAX_SENTENCE))}</p>"]
        if self.details:
            parts.append(f"<ul>{''.join(f'<li>{_escape(line)}</li>' for line in self._details())}</ul>")
        if self.links:
            parts.append(f"<p>{'<br>'.join(_show(link) for link in self.links)}</p>")
        return "".join(parts)

    def _details(self) -> list[str]:
        shown = [make_harmless(line, _MAX_SENTENCE) for line in self.details[:_MAX_DETAILS]]
        more = len(self.details) - len(shown)
        return [*shown, f"and {more} more"] if more > 0 else shown


def make_harmless(text: str, limit: int) -> str:
    """Return the text in one line of at most ``limit`` characters, without what a mail or chat would obey."""
    line = " ".join(_UNSEEN.sub(" ", text).split())
    line = _CALL.sub(lambda match: f"{match[0]} ", line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _show(link: Link) -> str:
    url = _escape(make_harmless(link.url, _MAX_SENTENCE))
    shown = f'<a href="{url}">{url}</a>' if link.is_web else url
    return f"{_escape(link.label)}: {shown}"


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
