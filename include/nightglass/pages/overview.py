"""The first page: how last night was on every collection, what needs a person first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nightglass.collections import Collection
from nightglass.night.judged import JudgedNight, judge_nights
from nightglass.night.report.sections import without_verb
from nightglass.pages.places import open_store, read_all
from nightglass.pages.rendering import render
from nightglass.pages.rights import RightsDep
from nightglass.pages.schedule import find_missing_nights
from nightglass.pages.sparkline import Sparkline, draw_rates
from nightglass.records import Decision, Verb
from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.settings import read_settings
from nightglass.store import NightRow, PromotionEvent, Store

router = APIRouter()
_NIGHTS = 30
_URGENCY = {Verb.RETRAIN: 1, Verb.HOLD: 1, Verb.WATCH: 3, Verb.OK: 4}


@dataclass(frozen=True)
class OverviewRow:
    """A collection as the overview shows it; ``last`` is None before its first night."""

    collection: str
    description: str
    last: NightRow | None
    rates: Sparkline | None
    champion: PromotionEvent | None
    champion_days: int | None
    shown: int
    open_verdicts: int
    missing: Sequence[str]

    @property
    def sentence(self) -> str:
        """The last decision without its verb, which the badge shows."""
        if self.last is None:
            return ""
        return without_verb(Decision(verb=self.last.decision, sentence=self.last.sentence, reasons=[]))

    @property
    def urgency(self) -> tuple[int, str]:
        """What needs a person first is the smallest."""
        if self.missing:
            return 0, self.collection
        return (_URGENCY[self.last.decision] if self.last else 2), self.collection


@router.get("/", response_class=HTMLResponse)
def show_overview(request: Request, rights: RightsDep) -> HTMLResponse:
    """Show every collection that the reader may see."""
    settings = read_settings()
    collections, broken = read_all(settings)
    seen = [collection for name, collection in collections.items() if rights.may_read(name)]
    told = [message for name, message in broken if rights.may_read(name)]
    now = datetime.now(UTC)
    rows = []
    if seen:
        with open_store(settings) as store:
            rows = [build_row(collection, store, now) for collection in seen]
    return render(
        request,
        "overview.html",
        rows=sorted(rows, key=lambda row: row.urgency),
        broken=told,
        needed=sum(row.urgency[0] < _URGENCY[Verb.WATCH] for row in rows) + len(told),
    )


def build_row(collection: Collection, store: Store, now: datetime) -> OverviewRow:
    """Gather what the overview says of a collection."""
    nights = store.list_nights(collection.name, _NIGHTS)
    history = store.promotions_of_model(collection.model_name)
    champion = history[0] if history else None
    judged = _judge(collection, store)
    return OverviewRow(
        collection=collection.name,
        description=collection.description,
        last=nights[0] if nights else None,
        rates=draw_rates(nights[::-1]) if nights else None,
        champion=champion,
        champion_days=(now - datetime.fromisoformat(champion.at)).days if champion else None,
        shown=sum(night.shown for night in judged),
        open_verdicts=sum(night.open for night in judged),
        missing=find_missing_nights(collection, {night.night for night in nights}, now),
    )


def _judge(collection: Collection, store: Store) -> list[JudgedNight]:
    after_all = "9999-12-31"
    shown = store.recent_top_anomalies(collection.name, after_all, _NIGHTS)
    return judge_nights(shown, VerdictsInEffect(store.verdicts(collection.name)), collection.slices)
