"""Matplotlib figures as inline SVG that follows the page: its colours, its font, its dark mode.

A chart is drawn in marker colours, one for each role, which become CSS variables here. Nothing is left in
``style`` attributes, so that the page's content security policy can allow its own style sheet alone.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Role -> marker colour; style.css says what ``--chart-<role>`` is in light and in dark.
INK, MUTED, GRID = "#000001", "#000002", "#000003"
NIGHT, REFERENCE, ANOMALOUS, LIMIT = "#000004", "#000005", "#000006", "#000007"
OK, WATCH, RETRAIN, HOLD, SURFACE = "#000008", "#000009", "#00000a", "#00000b", "#00000c"
_ROLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    NIGHT: "night",
    REFERENCE: "reference",
    ANOMALOUS: "anomalous",
    LIMIT: "limit",
    OK: "ok",
    WATCH: "watch",
    RETRAIN: "retrain",
    HOLD: "hold",
    SURFACE: "surface",
}
_NAMESPACE = re.compile(r"^\{[^}]*\}")
_POINTS_PER_INCH = 72
FONT_SIZE = 11
_DRAWING = RLock()  # matplotlib's settings are those of the whole process, and pages are drawn in threads


@contextmanager
def drawing(name: str, width: int, height: int) -> Iterator[tuple["Figure", "Axes"]]:
    """Give an empty figure of ``width`` x ``height`` SVG units and its axes; ``name`` seeds the ids in it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"nightglass-{name}",
        "font.size": FONT_SIZE,
        "text.color": INK,
        "text.parse_math": False,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": GRID,
        "axes.unicode_minus": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "xtick.color": GRID,
        "ytick.color": GRID,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "ytick.left": False,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
    }
    with _DRAWING, mpl.rc_context(settings):
        chart = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), layout="constrained")
        axes = chart.add_subplot()
        for part in (chart.patch, axes.patch):
            part.set_visible(False)
        yield chart, axes


def to_svg(chart: "Figure", *, name: str, title: str, description: str) -> Markup:
    """Return the figure as an ``<svg role="img">`` element; call it inside its ``drawing`` block."""
    buffer = io.StringIO()
    chart.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - written by matplotlib, one line above
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in {"metadata", "style"}:
                parent.remove(child)
    texts = " ".join(value for element in root.iter() for value in element.attrib.values())
    for element in root.iter():
        element.tag = _local(element.tag)
        _clean_attributes(element, texts)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    ids = f"chart-{name}-title chart-{name}-text"
    root.attrib |= {"class": "chart", "role": "img", "aria-labelledby": ids}
    for tag, suffix, text in (("desc", "text", description), ("title", "title", title)):
        label = ET.Element(tag, {"id": f"chart-{name}-{suffix}"})
        label.text = text
        root.insert(0, label)
    # ElementTree escapes every text and attribute, which is what makes this markup safe.
    return Markup(re.sub(r">\s+<", "><", ET.tostring(root, encoding="unicode")))  # noqa: S704


def _clean_attributes(element: ET.Element, referenced: str) -> None:
    identity = element.attrib.get("id")
    if identity and f"#{identity}" not in referenced:
        del element.attrib["id"]
    for key in list(element.attrib):
        if _local(key) != key:
            element.attrib[_local(key)] = element.attrib.pop(key)
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key and key != "font-family":
            role = _ROLES.get(value)
            element.attrib[key] = f"var(--chart-{role})" if role else value
    path = element.attrib.get("d")
    if path:
        element.attrib["d"] = " ".join(path.split())


def _local(name: str) -> str:
    return _NAMESPACE.sub("", name)
