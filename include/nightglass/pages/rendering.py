"""From a page's data to HTML: Nightglass's own templates, beside the pieces of the night's report."""

from functools import cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from nightglass import __version__
from nightglass.night.report import rendering as report

_TEMPLATES = Path(__file__).parent / "templates"


def render(request: Request, template: str, *, status: int = 200, **content: object) -> HTMLResponse:
    """Answer with a page; everything in ``content`` is escaped."""
    text = (
        _templates()
        .get_template(template)
        .render(
            **content,
            root=request.scope.get("root_path", ""),
            user_name=request.state.rights.user_name,
            version=__version__,
        )
    )
    return HTMLResponse(text, status)


@cache
def _templates() -> Environment:
    environment: Environment = report.templates().overlay()
    environment.loader = FileSystemLoader([_TEMPLATES, Path(report.__file__).parent / "templates"])
    return environment
