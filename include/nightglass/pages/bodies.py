"""Bodies of requests, bounded before anything reads them: FastAPI reads a body whole before it asks who sent it.

A route that takes an image says so with `ImageBody`. It is read only after the guard has let the person in, piece by
piece, and may then be larger than all other bodies.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nightglass.pages.rights import RightsDep

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_IMAGE_BYTES = 25 * 1024 * 1024
#: Of all uploads of a process together, whole or on their way, until they are answered.
MOST_HELD_BYTES = 4 * MOST_IMAGE_BYTES
_MOST_SECONDS = 60.0
_SCOPE_KEY = "nightglass.body_limit"


@dataclass
class BodyLimit:
    """How many bytes the body of one request may have; its route may set it, nothing else knows which route it is."""

    most_bytes: int


class BoundedBodies:
    """An app whose requests may have bodies of at most ``limit`` bytes; no more of a larger one is read.

    One that says in ``Content-Length`` that it is larger is not read at all.

    Args:
        app: What answers, as ASGI has it; it answers 413 where a body is larger.
        limit: Bytes, unless the route of a request takes more.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let the app answer, and count what it reads."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = scope[_SCOPE_KEY] = BodyLimit(self._limit)
        announced, came = _announced_bytes(scope), 0

        async def read() -> Message:
            nonlocal came
            if announced > limit.most_bytes:
                raise HTTPException(413, f"expected at most {limit.most_bytes:,} bytes, got {announced:,}")
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit.most_bytes:
                raise HTTPException(413, f"expected at most {limit.most_bytes:,} bytes, got more")
            return message

        await self._app(scope, read, send)


class HeldBytes:
    """What a process holds of uploads; safe to use from several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._free = most_bytes
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Hold ``count`` bytes more, unless there is no room for them."""
        with self._lock:
            if count > self._free:
                return False
            self._free -= count
            return True

    def give_back(self, count: int) -> None:
        """Let go of ``count`` bytes."""
        with self._lock:
            self._free += count


async def read_image_body(request: Request, _: RightsDep) -> AsyncIterator[bytes]:
    """Give the image that the request's body is, raw as in the file; of at most 25 MiB, within a minute.

    Its ``Content-Type`` must be that of an image, or ``application/octet-stream``. A page of another site cannot send
    either with somebody's cookie unless the browser was told that it may, which it never is.

    Raises:
        HTTPException: 415: another type; 413: too large; 408: too slow; 503: no room for more uploads now.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind != "application/octet-stream":
        raise HTTPException(415, f"expected Content-Type image/… or application/octet-stream, got {kind[:60]!r}")
    room: HeldBytes = request.app.state.uploads
    data = bytearray()
    try:
        await _read_into(data, request, room)
        yield bytes(data)
    finally:
        room.give_back(len(data))


#: The bytes of an image; name it after whatever checks rights, so that those come first.
ImageBody = Annotated[bytes, Depends(read_image_body)]


async def _read_into(data: bytearray, request: Request, room: HeldBytes) -> None:
    limit: BodyLimit = request.scope[_SCOPE_KEY]
    limit.most_bytes = MOST_IMAGE_BYTES
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            async for piece in request.stream():
                if not room.take(len(piece)):
                    message = "expected fewer uploads at once; try again in some seconds"
                    raise HTTPException(503, message, headers={"Retry-After": "5"})
                data += piece
    except TimeoutError as error:
        raise HTTPException(408, f"expected the image within {_MOST_SECONDS:.0f} s") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "expected the whole image, got a connection that ended") from error


def _announced_bytes(scope: Message) -> int:
    """Return what ``Content-Length`` says, 0 where it says nothing that is a number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
