"""Telling people through Apprise; an alert that cannot be delivered never fails a night."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apprise import Apprise

_log = logging.getLogger(__name__)


def send_alert(urls: Sequence[str], *, title: str, body: str) -> list[str]:
    """Send one message to every address; what fails is one logged warning each, and never an exception.

    Args:
        urls: Apprise URLs. They are secrets: only their scheme is ever shown.
        title: One line.
        body: Plain text.

    Returns:
        The warnings, empty when everyone was told.
    """
    failures = []
    for position, url in enumerate(urls, start=1):
        problem = _send(url, title, body)
        if problem is not None:
            failure = f"alert {position} of {len(urls)} ({_mask(url)}) was not delivered: {problem}"
            _log.warning("%s", failure)
            failures.append(failure)
    return failures


def _send(url: str, title: str, body: str) -> str | None:
    """Return None when the message was taken, else why not, in words without the address."""
    try:
        import apprise

        with _silenced():
            service: Apprise = apprise.Apprise()
            if not service.add(url):
                return "expected an Apprise URL such as mailto:// or slack://"
            if not service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
                return "the service cannot be reached or refused it"
    except Exception as error:  # noqa: BLE001 - a plugin's fault may be anything, and the night goes on
        return type(error).__name__
    return None


def _mask(url: str) -> str:
    # A token may sit in any other part of an Apprise URL, the host included.
    scheme, separator, _ = url.strip().partition("://")
    return f"{scheme}://***" if separator and scheme.isalnum() else "***"


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep Apprise's own log lines away: they quote hosts and answers, where tokens may be."""
    logger = logging.getLogger("apprise")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled
