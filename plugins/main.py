"""Nightglass's pages in Airflow's UI: registration only."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from threading import Lock
from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/nightglass"
Message = MutableMapping[str, Any]


class PagesApp:
    """The pages, built with the first request: every process of Airflow loads its plugins, one of them shows pages."""

    def __init__(self) -> None:
        self._app: Callable[..., Awaitable[None]] | None = None
        self._lock = Lock()

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer a request, as ASGI has it."""
        app = self._app or await asyncio.to_thread(self._build)
        await app(scope, receive, send)

    def _build(self) -> Callable[..., Awaitable[None]]:
        from nightglass.pages.app import create_app
        from nightglass_rights import authenticate, storage_options

        with self._lock:
            if self._app is None:
                self._app = create_app(authenticate, storage_options)
            return self._app


def page_address() -> str:
    """Return the address of the pages in the UI, which Airflow may serve below a path of its own."""
    return f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}{URL_PREFIX}/"


class NightglassPlugin(AirflowPlugin):
    """The pages, and their place in the navigation."""

    name = "nightglass"
    fastapi_apps: ClassVar[list[Any]] = [{"app": PagesApp(), "url_prefix": URL_PREFIX, "name": "Nightglass"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Nightglass", "href": page_address(), "destination": "nav", "url_route": "nightglass"}
    ]
