"""A process that dies before one of its writes."""

from collections.abc import Callable
from typing import Any


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


class Patience:
    """Lets so many writes through, and then kills whoever writes."""

    def __init__(self) -> None:
        self.left = 0

    def guard(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if self.left == 0:
                raise KilledError
            self.left -= 1
            return original(*arguments, **options)

        return guarded
