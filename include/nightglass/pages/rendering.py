"""From a page's data to HTML: Nightglass's own templates, beside the pieces of the night's report."""

from functools import cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from nightglass import __version__
from nightglass.night.report import rendering as report
from nightglass.night.report.names import plain
from nightglass.retraining import pages as retraining

_TEMPLATES = Path(__file__).parent / "templates"


def render(request: Request, template: str, *, status: int = 200, **content: object) -> HTMLResponse:
    """Answer with a page; everything in ``content`` is escaped."""
    return HTMLResponse(fill(request, template, **content), status)


def fill(request: Request, template: str, **content: object) -> str:
    """Return a page, or a piece of one that its script puts in the place of an older one, as HTML."""
    return (
        _templates()
        .get_template(template)
        .render(
            **content,
            root=request.scope.get("root_path", ""),
            user_name=request.state.rights.user_name,
            version=__version__,
        )
    )


@cache
def _templates() -> Environment:
    environment: Environment = report.templates().overlay()
    environment.loader = FileSystemLoader(
        [_TEMPLATES, Path(report.__file__).parent / "templates", retraining.TEMPLATES]
    )
    environment.globals = environment.globals | retraining.GLOBALS
    environment.filters = environment.filters | {"moment": _tell_moment}
    return environment


def _tell_moment(at: str) -> str:
    """Return a stored time, which is UTC, as people read it: ``2026-07-24 02:13``."""
    return plain(at[:16].replace("T", " "), 20)
