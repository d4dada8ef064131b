"""What a challenger that shadows the champion made of the night, beside the champion."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightglass.errors import InputError
from nightglass.night.report.figures import NOTHING, count, figure, percent
from nightglass.night.report.images import Size, open_picture, overlay_uri, photo_uri
from nightglass.night.report.sections import Tile, without_verb
from nightglass.night.report.source import ScoredNight, read_shadow
from nightglass.night.shadow_records import Disagreement, Rate, ShadowNight
from nightglass.records import Verb
from nightglass.storage import Folder

# Characters of all pictures together; the gallery takes 3 MB of the report's 5.
PICTURE_BUDGET = 900_000
_MAX_ENTRY_BUDGET = 120_000
_PHOTO_SHARE, _OVERLAY_SHARE = 0.7, 0.3
_REACH = 46.0  # percent of a bar on each side of its threshold
_EVEN = 0.1  # the least distance from a threshold that fills a bar, so that nothing at all does not


@dataclass(frozen=True)
class ModelScore:
    """One model's image score; ``position`` is its place on a bar whose middle is the model's threshold, percent."""

    model: str
    score: float
    threshold: float
    position: float
    is_anomalous: bool

    @property
    def distance(self) -> str:
        """How far it is from the threshold: ``1.31 above``."""
        margin = self.score - self.threshold
        return "at it" if margin == 0 else f"{figure(abs(margin))} {'above' if margin > 0 else 'below'} it"


@dataclass(frozen=True)
class DisagreementEntry:
    """An image that only one model finds anomalous; ``photo`` and ``overlay`` are ``data:`` addresses."""

    image: Disagreement
    scores: Sequence[ModelScore]
    photo: str | None
    overlay: str | None
    size: Size
    problem: str


@dataclass(frozen=True)
class UnreadableShadow:
    """Why it cannot be shown what a challenger made of the night."""

    problem: str


@dataclass(frozen=True)
class ShownShadow:
    """Both models side by side, and the images on which they differ the most."""

    night: ShadowNight
    verb: Verb
    sentence: str
    progress: str
    tiles: Sequence[Tile]
    entries: Sequence[DisagreementEntry]

    @property
    def differing(self) -> int:
        """Images that only one model finds anomalous."""
        return self.night.agreement.only_champion + self.night.agreement.only_challenger


ShadowSection = ShownShadow | UnreadableShadow


def build_shadow(scored: ScoredNight, source: Folder) -> ShadowSection | None:
    """Return what the challenger made of this very night, or why that cannot be read; None where none shadowed it."""
    try:
        night = read_shadow(source) if scored.assessment else None
    except InputError as error:  # another version of Nightglass wrote it; the night itself is sound
        return UnreadableShadow(problem=str(error))
    if night is None or not _is_about(night, scored):
        return None
    known = night.seen_before + (night.decision.verb is not Verb.HOLD)
    return ShownShadow(
        night=night,
        verb=night.decision.verb,
        sentence=without_verb(night.decision),
        progress=f"{count(known)} of {count(night.nights_wanted)} nights seen",
        tiles=_build_tiles(night),
        entries=_build_entries(night, source),
    )


def _is_about(night: ShadowNight, scored: ScoredNight) -> bool:
    """Tell whether it compares with what the report shows: the night may have been scored anew since."""
    now = scored.assessment
    return now is not None and (night.champion.name, night.champion.version, night.data_version) == (
        now.model_name,
        now.model_version,
        now.data_version,
    )


def _build_tiles(night: ShadowNight) -> list[Tile]:
    found = night.agreement
    alike = count(found.scored - found.only_champion - found.only_challenger)
    correlation = NOTHING if found.rank_correlation is None else f"{found.rank_correlation:.3f}"
    models = [
        ("Champion", night.champion, found.both + found.only_champion, found.champion_rate),
        ("Challenger", night.challenger, found.both + found.only_challenger, found.challenger_rate),
    ]
    return [
        *(_rate_tile(f"{word}, version {model.version}", number, rate) for word, model, number, rate in models),
        Tile("Called alike", percent(found.agreement), f"{alike} of {count(found.scored)} images"),
        Tile("Rank correlation", correlation, "of all image scores; 1 is the same order"),
    ]


def _rate_tile(label: str, anomalous: int, rate: Rate | None) -> Tile:
    if rate is None:
        return Tile(label, NOTHING, "nothing was scored")
    bounds = f"95\u202f% interval {percent(rate.low)} to {percent(rate.high)}"
    return Tile(label, percent(rate.value), f"{count(anomalous)} anomalous; {bounds}")


def _build_entries(night: ShadowNight, source: Folder) -> list[DisagreementEntry]:
    margins = [
        abs(margin)
        for found in night.disagreements
        for margin in (
            found.champion_score - night.champion_threshold,
            found.challenger_score - night.challenger_threshold,
        )
    ]
    scale = max([_EVEN, *margins])
    budget = min(_MAX_ENTRY_BUDGET, PICTURE_BUDGET // max(1, len(night.disagreements)))
    return [_build_entry(night, found, source, scale, budget) for found in night.disagreements]


def _build_entry(
    night: ShadowNight, found: Disagreement, source: Folder, scale: float, budget: int
) -> DisagreementEntry:
    photo, overlay, size, problem = None, None, (1, 1), ""
    try:
        photo, size = photo_uri(open_picture(source, found.image), int(budget * _PHOTO_SHARE))
        overlay = overlay_uri(open_picture(source, found.anomaly_map), size, int(budget * _OVERLAY_SHARE))
    except InputError as error:
        problem = str(error)
    is_champions = found.anomalous_for == "champion"
    scores = [
        _score("Champion", found.champion_score, night.champion_threshold, scale, is_anomalous=is_champions),
        _score("Challenger", found.challenger_score, night.challenger_threshold, scale, is_anomalous=not is_champions),
    ]
    return DisagreementEntry(found, scores, photo, overlay, size, problem)


def _score(model: str, score: float, threshold: float, scale: float, *, is_anomalous: bool) -> ModelScore:
    position = round(50 + _REACH * (score - threshold) / scale, 2)
    return ModelScore(model, score, threshold, position, is_anomalous)
