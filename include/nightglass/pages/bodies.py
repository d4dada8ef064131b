"""Bodies of requests, bounded before anything reads them: FastAPI reads a body whole before it asks who sent it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BoundedBodies:
    """An app whose requests may have bodies of at most ``limit`` bytes; no more of a larger one is read.

    Args:
        app: What answers, as ASGI has it; it answers 413 where a body is larger.
        limit: Bytes.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let the app answer, and count what it reads."""
        came = 0

        async def read() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._limit:
                raise HTTPException(413, f"expected at most {self._limit:,} bytes, got more")
            return message

        await self._app(scope, read if scope["type"] == "http" else receive, send)
