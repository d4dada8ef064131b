from html.parser import HTMLParser

import pytest

from nightglass.alerting import Alert, Link
from nightglass.alerting.message import make_harmless


def alert(**changes: object) -> Alert:
    fields = {"kind": "hold", "key": "k", "subject": "cells 2026-03-02", "headline": "hold", "sentence": "Too few."}
    return Alert(**(fields | changes))  # type: ignore[arg-type]


def test_text_and_html_say_the_same() -> None:
    shown = alert(details=("one", "two"), links=(Link("Night", "http://a/n?x=1&y=2"), Link("Report", "s3://b/r.html")))
    assert shown.title == "Nightglass: cells 2026-03-02: hold"
    assert shown.as_text() == "Too few.\n\n- one\n- two\n\nNight: http://a/n?x=1&y=2\nReport: s3://b/r.html"
    assert shown.as_html() == (
        "<p>Too few.</p><ul><li>one</li><li>two</li></ul>"
        '<p>Night: <a href="http://a/n?x=1&amp;y=2">http://a/n?x=1&amp;y=2</a><br>Report: s3://b/r.html</p>'
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"{tag} {' '.join(name for name, _ in attrs)}".strip())


def test_hostile_names_are_words_and_nothing_else() -> None:
    evil = "a\r\nBcc: all@x.org\u202e\u061c\udcff<img src=x onerror=alert(1)>'\"@everyone <!channel> <@U1>\x00"
    shown = alert(headline=evil, sentence=evil, details=(evil,), links=(Link("Night", f'http://a/"onclick={evil}'),))

    assert "\n" not in shown.title
    assert "\r" not in shown.title
    for text in (shown.title, shown.as_text()):
        assert not any(call in text for call in ("@everyone", "<!", "<@", "\x00", "\u202e", "\u061c", "\udcff"))
    parser = Tags()
    parser.feed(shown.as_html())
    assert parser.found == ["p", "ul", "li", "p", "a href"]


def test_long_texts_are_cut_and_many_details_counted() -> None:
    shown = alert(headline="x" * 1000, sentence="y" * 10_000, details=tuple(map(str, range(50))))
    assert len(shown.title) == 200
    lines = shown.as_text().splitlines()
    assert len(lines[0]) == 1500
    assert lines[-1] == "- and 38 more"
    assert lines[2] == "- 0"


@pytest.mark.parametrize("text", ["mail ana@example.org", "Läufer 😀 10 % < 3 & 4 > 2", "s3://b/all@once"])
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert make_harmless(text, 100) == text


def test_another_run_of_the_same_is_no_news_and_another_sentence_is() -> None:
    first = alert(links=(Link("Run", "http://a/1"),))
    assert alert(links=(Link("Run", "http://a/2"),)).content_sha256 == first.content_sha256
    assert alert(sentence="Far too few.").content_sha256 != first.content_sha256
    assert alert(sentence="1", content="same").content_sha256 == alert(sentence="2", content="same").content_sha256
    assert alert().cause_sha256 == ""
    assert alert(cause="x").cause_sha256 != alert(cause="x", kind="failure").cause_sha256
