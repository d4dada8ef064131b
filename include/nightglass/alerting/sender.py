"""The process that sends: a message on stdin, on stdout a line for each address, as soon as it is known.

Run as a file and without the rest of the package, so that it starts fast.
"""

import json
import os
import signal
import sys
import threading
from typing import Any

_MAIL = ("mailto", "mailtos")
_lock = threading.Lock()


def main() -> None:
    """Send the message to every address at once."""
    message: dict[str, Any] = json.load(sys.stdin)
    # Whoever started this process and would end it may be dead by then.
    signal.alarm(int(message["seconds"]) + 5)
    threads = [
        threading.Thread(target=_tell, args=(place, url, message), daemon=True)
        for place, url in enumerate(message["urls"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.flush()
    # Apprise's own threads may wait for a server that never answers.
    os._exit(0)


def _tell(place: int, url: str, message: dict[str, Any]) -> None:
    try:
        problem = _send(url, message)
    except Exception as error:  # noqa: BLE001 - a plugin's fault may be anything; its text may quote the address
        problem = type(error).__name__
    with _lock:
        sys.stdout.write(json.dumps([place, problem]) + "\n")
        sys.stdout.flush()


def _send(url: str, message: dict[str, Any]) -> str:
    """Return an empty text when the message was taken, else why not, in words without the address."""
    from apprise import Apprise, NotifyFormat

    service = Apprise()
    if not service.add(url):
        return "expected an Apprise URL such as mailto:// or slack://"
    if url.partition("://")[0].strip().lower() in _MAIL:
        # Apprise makes the mail's plain part of the same words.
        sent = service.notify(title=message["title"], body=message["html"], body_format=NotifyFormat.HTML)
    else:
        sent = service.notify(title=message["title"], body=message["text"], body_format=NotifyFormat.TEXT)
    return "" if sent else "the service cannot be reached or refused it"


if __name__ == "__main__":
    main()
