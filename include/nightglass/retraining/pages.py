"""The pages of a retraining: their templates, their style, and what a browser may load (nothing)."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nightglass.night.report import figures, rendering
from nightglass.night.report.names import name_html, plain
from nightglass.retraining.gate_text import gate_interval, gate_limit, gate_value

#: The folder of the sections that the gate report, the model card and the analyst's pages share, and what they call.
TEMPLATES = Path(__file__).parent / "templates"
GLOBALS = {"gate_value": gate_value, "gate_limit": gate_limit, "gate_interval": gate_interval}
_NIGHT_TEMPLATES = Path(rendering.__file__).parent / "templates"


def render_page(template: str, **content: object) -> str:
    """Return one self-contained HTML page; everything in ``content`` is escaped."""
    return _templates().get_template(template).render(**content, style=_style(), policy=_policy())


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, _NIGHT_TEMPLATES]),  # the night's report has the icons
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"name": name_html, "plain": plain, "count": figures.count, "p_value": figures.p_value}
    environment.globals |= GLOBALS
    return environment


@cache
def own_style() -> str:
    """Return what these pages add to the style of the night's report."""
    return (TEMPLATES / "retraining.css").read_text(encoding="utf-8")


@cache
def _style() -> str:
    return rendering.style() + own_style()


def _policy() -> str:
    """Return the content security policy: no request to any host, no script, only this style sheet."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
