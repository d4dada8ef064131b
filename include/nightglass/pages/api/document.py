"""The API's OpenAPI document and a page to read it, both for those who are signed in."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute

from nightglass import __version__
from nightglass.pages.rendering import render

router = APIRouter(prefix="/api", include_in_schema=False)
_PREFIX = "/api/"
_DESCRIPTION = (
    "What Nightglass's pages show, for programs, and `predict`. A request carries a token of Airflow "
    "(`Authorization: Bearer`, from `POST /auth/token`) or the cookie of somebody who is signed in, and sees the "
    "collections whose nightly DAG that person may read. Every refusal is one line of JSON in `error`."
)
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of Airflow, from POST /auth/token."},
    "session": {"type": "apiKey", "in": "cookie", "name": "_token", "description": "Whoever is signed in to Airflow."},
}


@dataclass(frozen=True)
class Operation:
    """A line of the page: what one may ask for, and with which values."""

    method: str
    path: str
    summary: str
    values: str


@router.get("/openapi.json")
def read_document(request: Request) -> JSONResponse:
    """Return the OpenAPI document of the routes below ``/api``."""
    return JSONResponse(describe(request.app, request.scope.get("root_path", "")))


@router.get("", response_class=HTMLResponse)
@router.get("/", response_class=HTMLResponse)
def show_page(request: Request) -> HTMLResponse:
    """Show the operations and how to ask for one."""
    document = describe(request.app, request.scope.get("root_path", ""))
    return render(request, "api.html", operations=list_operations(document))


@lru_cache(maxsize=4)
def describe(app: FastAPI, root: str) -> dict[str, Any]:
    """Return the OpenAPI document of an app whose pages lie below ``root``; it has no route but the API's.

    It is kept for the next one who asks, who must find it as it is.
    """
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.path.startswith(_PREFIX)]
    document = get_openapi(
        title="Nightglass",
        version=__version__,
        description=_DESCRIPTION,
        routes=routes,
        servers=[{"url": root or "/"}],
        separate_input_output_schemas=False,
    )
    # FastAPI lists what the mounting app asks for in its own way; these are the two that it takes.
    document.setdefault("components", {})["securitySchemes"] = _SECURITY
    document["security"] = [{name: []} for name in _SECURITY]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
            operation["description"] = operation["description"].partition("\n\nRaises:")[0]
    return document


def list_operations(document: dict[str, Any]) -> list[Operation]:
    """Return the document's operations in its order."""
    return [
        Operation(
            method=method.upper(),
            path=path,
            summary=operation["description"].partition("\n")[0],
            values=", ".join(each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"),
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
