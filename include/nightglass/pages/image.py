"""The page of one image: large, with its map, its score, what is known and what was said of it, and what is like it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from nightglass.errors import NightglassError
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.slices import slices_of
from nightglass.night.report.gallery import MAX_NEIGHBORS
from nightglass.night.report.images import legend_uri
from nightglass.pages import pictures
from nightglass.pages.image_files import Near, find_top, read_facts, tell_problem
from nightglass.pages.places import open_store
from nightglass.pages.rendering import render
from nightglass.pages.rights import ReadableCollection, RightsDep, WritableCollection
from nightglass.pages.scored import Sha256, ShownImage, find_shown
from nightglass.records import TopAnomaly
from nightglass.retraining.verdicts import NewVerdict, Verdict, VerdictsInEffect
from nightglass.settings import read_settings

router = APIRouter(prefix="/collections/{collection}/nights/{night}/images/{sha256}")
_log = logging.getLogger(__name__)
_STATISTICS = ("brightness", "contrast", "sharpness", "colourfulness")


class GivenWord(BaseModel):
    """What somebody says of the image of the address."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["defect", "normal", "unsure"]
    note: str = Field("", max_length=1000)


@dataclass(frozen=True)
class Source:
    """What the image's file says beside its pixels; ``problem`` is why it cannot be read, or empty."""

    exif: Sequence[tuple[str, str]]
    problem: str


@router.get("", response_class=HTMLResponse)
def show_image(
    request: Request, collection: ReadableCollection, night: date, sha256: Sha256, rights: RightsDep
) -> HTMLResponse:
    """Show a scored image of a published night.

    Raises:
        HTTPException: 404: no such night or image; 409: the night is being scored again.
    """
    shown = find_shown(request, collection, night, sha256)
    top = find_top(shown)
    slices = slices_of(shown.path, shown.collection.slices)
    said, in_effect, champion = _read_words(shown, slices)
    root = request.scope.get("root_path", "")
    threshold = shown.row.image_threshold
    return render(
        request,
        "image.html",
        shown=shown,
        top=top,
        slices=[tuple(name.split("=", 1)) for name in slices],
        source=_read_facts(request, shown),
        statistics=[(name, shown.found.scores[name]) for name in _STATISTICS],
        said=said,
        in_effect=in_effect,
        may_change=rights.may_change(collection),
        champion=champion,
        can_explain=champion == shown.row.model_version,
        neighbors=_stored_neighbors(shown, top, f"{root}/collections/{collection}/nights/{shown.row.night}"),
        threshold=threshold,
        positions=_place_on_bar(shown.found.scores["image_score"], threshold),
        legend=legend_uri(),
        here=f"{root}{shown.address}",
    )


@router.post("/verdict")
def give_word(
    request: Request,
    collection: WritableCollection,
    night: date,
    sha256: Sha256,
    given: GivenWord,
    rights: RightsDep,
) -> dict[str, str | int | None]:
    """Record what the person says of the image; return the verdict that is in effect.

    Raises:
        HTTPException: 404: no such night or image; 409: the night is being scored again.
    """
    shown = find_shown(request, collection, night, sha256)
    verdict = NewVerdict(
        night=shown.row.night,
        scope="image",
        path=shown.path,
        sha256=sha256,
        verdict=given.verdict,
        by=rights.user_name,
        note=given.note,
        source="page",
    )
    with open_store(read_settings()) as store:
        store.add_verdicts(collection, [verdict], datetime.now(UTC))
    _, found, _ = _read_words(shown, slices_of(shown.path, shown.collection.slices))
    if found is None:
        raise ValueError(f"{collection} {shown.row.night}: the verdict that was just given is gone")
    return found.model_dump(include={"verdict", "by", "at", "scope", "note"})


def _read_words(shown: ShownImage, slices: Sequence[str]) -> tuple[list[Verdict], Verdict | None, str | None]:
    """Return all that was said of the image or of what it is part of, latest first, what holds, and the champion."""
    night = shown.row.night
    subjects = [shown.sha256, night, *(f"{night} {name}" for name in slices)]
    with open_store(read_settings()) as store:
        said = store.verdict_log.history(shown.collection.name, subjects)
        history = store.promotions_of_model(shown.collection.model_name)
    in_effect = VerdictsInEffect(said).find(night, shown.sha256, slices)
    same_model = bool(history) and history[0].model_name == shown.row.model_name
    latest_first = sorted(said, key=lambda verdict: (verdict.at, verdict.entry), reverse=True)
    return latest_first, in_effect, history[0].version if same_model else None


def _read_facts(request: Request, shown: ShownImage) -> Source:
    try:
        return Source(read_facts(request, shown), "")
    except QuarantinedError as error:
        return Source([], tell_problem(error))
    except HTTPException as error:  # too many images are being read
        return Source([], str(error.detail))
    except NightglassError as error:
        _log.warning("%s: the images' folder could not be read: %s", shown.night.where, error)
        return Source([], "the images' folder cannot be read now; the server's log says more")


def _place_on_bar(score: float, threshold: float | None) -> tuple[float, float] | None:
    """Return where score and threshold lie on a bar that holds both and zero, in percent; None without a threshold."""
    if threshold is None:
        return None
    low, high = min(0.0, score, threshold), max(score, threshold)
    width = 1.15 * (high - low) or 1.0
    return round((score - low) / width * 100, 2), round((threshold - low) / width * 100, 2)


def _stored_neighbors(shown: ShownImage, top: TopAnomaly | None, night: str) -> list[Near] | None:
    """Return the nearest good images of the night's scoring; None where it kept no pictures of them."""
    if top is None or not top.neighbors:
        return None
    return [
        Near(near.path, near.distance, pictures.address(night, near.thumbnail, shown.row) if near.thumbnail else "")
        for near in top.neighbors[:MAX_NEIGHBORS]
    ]
