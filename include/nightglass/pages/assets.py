"""Styles and scripts; guarded like every page, and kept by the browser until Nightglass is renewed."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from nightglass.night.report import rendering as report
from nightglass.retraining import pages as retraining

router = APIRouter()
_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript"}


@router.get("/static/{name}")
def read_asset(name: str) -> Response:
    """Return one of the files that Nightglass brings along; no other name is a path."""
    assets = _assets()
    if name not in assets:
        raise HTTPException(404, f"expected one of {', '.join(sorted(assets))}, got {name[:100]!r}")
    kind = _TYPES[Path(name).suffix]
    return Response(assets[name], media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


@cache
def _assets() -> dict[str, str]:
    found = {path.name: path.read_text(encoding="utf-8") for path in _STATIC.iterdir() if path.suffix in _TYPES}
    return found | {"report.css": report.style(), "retraining.css": retraining.own_style()}
