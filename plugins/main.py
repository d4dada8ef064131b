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
        from nightglass_runs import AirflowRuns

        with self._lock:
            if self._app is None:
                path = airflow_path()
                runs = AirflowRuns(path)
                self._app = create_app(authenticate, storage_options, airflow_api=f"{path}/api/v2", airflow_runs=runs)
            return self._app


def airflow_path() -> str:
    """Return the path that Airflow serves its UI and API below, without a slash at its end: mostly none."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def page_address() -> str:
    """Return the address of the pages in the UI."""
    return f"{airflow_path()}{URL_PREFIX}/"


class NightglassPlugin(AirflowPlugin):
    """The pages, their place in the navigation, and the night of a DAG run as its tab."""

    name = "nightglass"
    fastapi_apps: ClassVar[list[Any]] = [{"app": PagesApp(), "url_prefix": URL_PREFIX, "name": "Nightglass"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Nightglass", "href": page_address(), "destination": "nav", "url_route": "nightglass"},
        {
            "name": "Night",
            "href": f"{page_address()}dags/{{DAG_ID}}/runs/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "nightglass-night",
        },
    ]
