"""Build the app: every route asks who is there, and every answer says what a browser may do with it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from nightglass.errors import ConfigurationError, InputError, NightglassError
from nightglass.pages import (
    api,
    assets,
    compare,
    image,
    image_parts,
    metrics,
    model_card,
    models,
    night,
    night_links,
    overview,
    pictures,
    predict,
    rescored,
    runs,
    search,
    similar_images,
    verdicts,
)
from nightglass.pages.bodies import MOST_HELD_BYTES, BoundedBodies, HeldBytes
from nightglass.pages.kept_models import KeptModels
from nightglass.pages.places import StorageOptions
from nightglass.pages.rendering import render
from nightglass.pages.rights import Rights
from nightglass.pages.runs import NoRuns, Runs
from nightglass.pages.service_metrics import Services

_log = logging.getLogger(__name__)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MOST_BODY_BYTES = 16 * 1024
_ROUTERS: tuple[APIRouter, ...] = (
    overview.router,
    night.router,
    night_links.router,
    models.router,
    compare.router,
    rescored.router,
    model_card.router,
    verdicts.router,
    runs.router,
    pictures.router,
    image.router,
    image_parts.router,
    similar_images.router,
    search.router,
    assets.router,
    api.router,
    predict.router,
    metrics.router,
)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def create_app(
    authenticate: Callable[..., Rights],
    storage_options: StorageOptions,
    airflow_runs: Runs | None = None,
    airflow_api: str = "/api/v2",
) -> FastAPI:
    """Return the pages as an app.

    Args:
        authenticate: A FastAPI dependency that returns the rights of whoever asks, or raises HTTPException 401.
        storage_options: Credentials of a collection's remote folders.
        airflow_runs: What Airflow knows of the runs of the nightly DAGs; None: there is no Airflow.
        airflow_api: Path of Airflow's own API on the same host, without a slash at its end.
    """

    def guard(request: Request, rights: Annotated[Rights, Depends(authenticate)]) -> None:
        request.state.rights = rights

    app = FastAPI(title="Nightglass", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.storage_options = storage_options
    app.state.airflow_api = airflow_api
    app.state.runs = airflow_runs or NoRuns()
    app.state.uploads = HeldBytes(MOST_HELD_BYTES)
    app.state.kept_models = KeptModels()
    app.state.predictions = metrics.Predictions()
    app.state.services = Services()
    app.include_router(metrics.token_router)  # before the routers that ask who is there: its routes ask for the token
    for router in _ROUTERS:
        app.include_router(router, dependencies=[Depends(guard)])
    app.add_api_route("/{path:path}", _tell_unknown, methods=_METHODS, dependencies=[Depends(guard)])
    app.add_middleware(BoundedBodies, limit=_MOST_BODY_BYTES)
    app.middleware("http")(_add_headers)
    app.add_exception_handler(HTTPException, _tell_refusal)
    app.add_exception_handler(RequestValidationError, _tell_wrong_request)
    app.add_exception_handler(NightglassError, _tell_error)
    return app


def _tell_unknown(request: Request) -> Response:
    """Answer what no route takes, so that nobody unknown learns which routes there are."""
    others = [route for route in request.app.routes if route.matches(request.scope)[0] is Match.PARTIAL]
    if others:
        raise HTTPException(405, f"expected another method for this address, got {request.method}")
    raise HTTPException(404, "expected the address of a page, got none that there is")


async def _add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    # Pictures and styles may be kept by the browser of whoever was let in; what they show does not change.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  what it is registered for
    answer = _tell(request, error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _tell_wrong_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  what it is registered for
    if not hasattr(request.state, "rights"):  # a body that is none is found out before the guard asks
        return _tell(request, 401, "Not authenticated")
    problem: dict[str, Any] = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return _tell(request, 422, f"{where}: {problem['msg']}")


def _tell_error(request: Request, error: Exception) -> Response:
    """Tell what is wrong with a request; what is wrong with the server goes to its log, not to its visitors."""
    if isinstance(error, InputError) and not isinstance(error, ConfigurationError):
        return _tell(request, 404, str(error))
    _log.error("%s: %s", request.url.path, error)
    return _tell(request, 503, "Nightglass cannot answer now: the reason is in the log of Airflow's API server")


def _tell(request: Request, status: int, message: str) -> Response:
    """Answer a person with a page, a program with JSON, in one line either way."""
    if "text/html" not in request.headers.get("Accept", ""):
        return JSONResponse({"error": message}, status)
    if not hasattr(request.state, "rights"):
        return PlainTextResponse(message, status)
    return render(request, "problem.html", status=status, code=status, message=message)
