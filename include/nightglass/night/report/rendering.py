"""From the page's data to HTML: the templates, their filters, and what a browser may load (nothing)."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nightglass.night.cost import NightCost
from nightglass.night.judged import JudgedNight
from nightglass.night.removals import NO_NOTES, Notes
from nightglass.night.report import figures
from nightglass.night.report.names import name_html, plain, without_credentials
from nightglass.night.report.page import build_page
from nightglass.night.report.trends import largest_psi
from nightglass.records import NightSummary
from nightglass.storage import Folder

_TEMPLATES = Path(__file__).parent / "templates"


def render_report(
    source: Folder,
    *,
    trend: Sequence[NightSummary] = (),
    judged: Sequence[JudgedNight] = (),
    cost: NightCost | None = None,
    notes: Notes = NO_NOTES,
) -> str:
    """Return one night's report as a self-contained HTML page of less than 5 MB.

    The same folder and trend always give the same text. A picture that is missing or broken leaves a
    placeholder that says so.

    Args:
        source: The score folder.
        trend: Earlier nights of the same collection, in any order; tonight's own row is not needed.
        judged: What analysts said of the last nights' top anomalies, the last night first.
        cost: What the night cost, where that is known.
        notes: What the night has no more.

    Raises:
        InputError: It is no score folder, or one of its files is not what it should be.
    """
    page = build_page(source, trend=trend, judged=judged, cost=cost, notes=notes)
    return templates().get_template("report.html").render(page=page, style=style(), policy=content_policy())


@cache
def templates() -> Environment:
    """Return the environment with every partial: ``decision.html``, ``gallery.html`` and so on take ``page``."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "name": name_html,
        "without_credentials": without_credentials,
        "plain": plain,
        "count": figures.count,
        "figure": figures.figure,
        "mark": figures.mark,
        "percent": figures.percent,
        "p_value": figures.p_value,
        "times": figures.times,
        "largest_psi": largest_psi,
    }
    return environment


@cache
def style() -> str:
    """Return the page's style sheet."""
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


def content_policy() -> str:
    """Return the content security policy: no request to any host, no script, only this style sheet."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
