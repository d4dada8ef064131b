"""Handing a message to Apprise: in good time or not at all, and without a word about the addresses."""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nightglass.alerting.message import Alert

log = logging.getLogger(__name__)

#: However many addresses there are.
SECONDS = 30.0
_SENDER = Path(__file__).with_name("sender.py")


def deliver(urls: Sequence[str], alert: Alert, *, seconds: float = SECONDS) -> list[str]:
    """Send an alert to every address; what fails is one logged warning each, and never an exception.

    Args:
        urls: Apprise URLs. They are secrets: only their scheme is ever shown.
        alert: What to tell.
        seconds: How long all of it may take. Whoever has not answered by then counts as not told.

    Returns:
        The warnings, empty when everyone was told.
    """
    failures = attempt(urls, alert, seconds=seconds)
    for failure in failures:
        log.warning("%s", failure)
    return failures


def attempt(urls: Sequence[str], alert: Alert, *, seconds: float = SECONDS) -> list[str]:
    """Do as :func:`deliver` does, but log nothing."""
    if not urls:
        return []
    problems = _send(urls, alert, seconds)
    found = [(place, url, problems.get(place, f"no answer within {seconds:g} s")) for place, url in enumerate(urls)]
    return [
        f"alert {place + 1} of {len(urls)} ({_mask(url)}) was not delivered: {problem}"
        for place, url, problem in found
        if problem
    ]


def _send(urls: Sequence[str], alert: Alert, seconds: float) -> dict[int, str]:
    """Return what became of each address by its position: an empty text where it was told.

    A process of its own can be ended whatever it waits for, and what its libraries log of addresses and answers ends
    with it. The addresses go through a pipe, as everybody may read a command line.
    """
    message = {
        "urls": list(urls),
        "title": alert.title,
        "text": alert.as_text(),
        "html": alert.as_html(),
        "seconds": seconds,
    }
    try:
        done = subprocess.run(  # noqa: S603 - this Python and a file of this package
            [sys.executable, "-P", str(_SENDER)],
            input=json.dumps(message).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
        output = done.stdout
        missing = {} if done.returncode == 0 else dict.fromkeys(range(len(urls)), f"it ended with {done.returncode}")
    except subprocess.TimeoutExpired as error:
        output, missing = error.stdout or b"", {}
    except OSError as error:
        return dict.fromkeys(range(len(urls)), type(error).__name__)
    whole = [line for line in output.decode().splitlines(keepends=True) if line.endswith("\n")]
    return missing | dict(json.loads(line) for line in whole)


def _mask(url: str) -> str:
    # A token may sit in any other part of an Apprise URL, the host included.
    scheme, separator, _ = url.strip().partition("://")
    return f"{scheme}://***" if separator and scheme.isalnum() else "***"
