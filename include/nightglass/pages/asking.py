"""Questions to MLflow, which may be slow or down, asked so that no page waits long for the answer."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

from nightglass.errors import NightglassError
from nightglass.settings import Settings

_log = logging.getLogger(__name__)
T = TypeVar("T")
#: While MLflow is down a question keeps its thread for minutes.
_MOST_GOING = 32
_lock = Lock()
_going: "dict[tuple[str, str], Future[Any]]" = {}


def ask_mlflow(about: str, settings: Settings, read: Callable[[], T], seconds: float) -> T:
    """Return what ``read`` returns, in a thread of its own; requests that come meanwhile wait for the same answer.

    Args:
        about: What is asked for, in words; the same words mean the same question.
        settings: Where MLflow is.
        read: Asks it.
        seconds: How long the answer is waited for; ``read`` goes on after that.

    Raises:
        TimeoutError: It has not answered yet, or too many other questions are open.
        Exception: Whatever ``read`` raised, which is in the log by then.
    """
    key = settings.tracking_url, about
    with _lock:
        reading = _going.get(key)
        if reading is None:
            if len(_going) >= _MOST_GOING:
                raise TimeoutError(f"{about}: expected less than {_MOST_GOING} open questions to MLflow")
            reading = _going[key] = Future()
            Thread(target=_answer, args=(key, read, reading), name="nightglass-mlflow", daemon=True).start()
    found: T = reading.result(seconds)
    return found


def _answer(key: tuple[str, str], read: Callable[[], T], reading: "Future[T]") -> None:
    try:
        found = read()
    except Exception as error:  # noqa: BLE001  whoever waits for it is told
        _log.error("%s: %s", key[1], error, exc_info=not isinstance(error, NightglassError))
        reading.set_exception(error)
    else:
        reading.set_result(found)
    finally:
        with _lock:
            del _going[key]
