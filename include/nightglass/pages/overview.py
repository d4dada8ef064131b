"""The first page: how last night was on every collection, what needs a person first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nightglass.collections import Collection
from nightglass.night.judged import JudgedNight, judge_nights
from nightglass.night.report.sections import without_verb
from nightglass.pages.places import open_store, read_all
from nightglass.pages.rendering import render
from nightglass.pages.rights import RightsDep
from nightglass.pages.runs import AirflowRun, Runs, runs_of, runs_of_nights
from nightglass.pages.schedule import find_missing_nights
from nightglass.pages.sparkline import Sparkline, draw_drift, draw_rates
from nightglass.records import Decision, Verb
from nightglass.retraining.verdicts import VerdictsInEffect
from nightglass.settings import read_settings
from nightglass.store import NightRow, PromotionEvent, Store

router = APIRouter()
_NIGHTS = 30
_RUNS = 30
_URGENCY = {Verb.RETRAIN: 1, Verb.HOLD: 1, Verb.WATCH: 3, Verb.OK: 4}


@dataclass(frozen=True)
class OverviewRow:
    """A collection as the overview shows it; ``last`` is None before its first night.

    ``failed`` are the runs of nights that failed before they published anything, newest first.
    """

    collection: Collection
    last: NightRow | None
    rates: Sparkline | None
    drift: Sparkline | None
    champion: PromotionEvent | None
    champion_days: int | None
    shown: int
    open_verdicts: int
    missing: Sequence[str]
    failed: Sequence[tuple[str, AirflowRun]]

    @property
    def sentence(self) -> str:
        """The last decision without its verb, which the badge shows."""
        if self.last is None:
            return ""
        return without_verb(Decision(verb=self.last.decision, sentence=self.last.sentence, reasons=[]))

    @property
    def urgency(self) -> tuple[int, str]:
        """What needs a person first is the smallest."""
        if self.missing or self.failed:
            return 0, self.collection.name
        return (_URGENCY[self.last.decision] if self.last else 2), self.collection.name


@router.get("/", response_class=HTMLResponse)
def show_overview(request: Request, rights: RightsDep) -> HTMLResponse:
    """Show every collection that the reader may see."""
    settings = read_settings()
    collections, broken = read_all(settings)
    seen = [collection for name, collection in collections.items() if rights.may_read(name)]
    told = [message for name, message in broken if rights.may_read(name)]
    now, runs = datetime.now(UTC), runs_of(request)
    rows = []
    if seen:
        with open_store(settings) as store:
            rows = [build_row(collection, store, runs, now) for collection in seen]
    return render(
        request,
        "overview.html",
        rows=sorted(rows, key=lambda row: row.urgency),
        broken=told,
        needed=sum(row.urgency[0] < _URGENCY[Verb.WATCH] for row in rows) + len(told),
        collections_dir=str(settings.collections_dir),
    )


def build_row(collection: Collection, store: Store, runs: Runs, now: datetime) -> OverviewRow:
    """Gather what the overview says of a collection."""
    nights = store.list_nights(collection.name, _NIGHTS)
    measures = store.nights.measures(collection.name, _NIGHTS)
    history = store.promotions_of_model(collection.model_name)
    champion = history[0] if history else None
    judged, ratio = _judge(collection, store), collection.decision.ratio
    published = {night.night: night.published_at for night in nights}
    known_from = nights[-1].night if len(nights) == _NIGHTS else ""  # of older ones nobody asked
    failed = _find_failed(collection, runs, set(published), known_from, now)
    missing = find_missing_nights(collection, published, now)
    return OverviewRow(
        collection=collection,
        last=nights[0] if nights else None,
        rates=draw_rates(measures, ratio) if measures else None,
        drift=draw_drift(measures, collection.drift.retrain_psi, ratio) if measures else None,
        champion=champion,
        champion_days=(now - datetime.fromisoformat(champion.at)).days if champion else None,
        shown=sum(night.shown for night in judged),
        open_verdicts=sum(night.open for night in judged),
        missing=[night for night in missing if night not in dict(failed)],
        failed=failed,
    )


def _judge(collection: Collection, store: Store) -> list[JudgedNight]:
    after_all = "9999-12-31"
    shown = store.recent_top_anomalies(collection.name, after_all, _NIGHTS)
    words = store.verdict_log.last_words_of_nights(collection.name, after_all, _NIGHTS)
    return judge_nights(shown, VerdictsInEffect(words), collection.slices)


def _find_failed(
    collection: Collection, runs: Runs, published: set[str], known_from: str, now: datetime
) -> list[tuple[str, AirflowRun]]:
    """Return the nights of the last 30 days whose last run failed and published nothing, the newest first.

    ``published`` are all published nights from ``known_from`` on.
    """
    since = max(known_from, date.isoformat(now.date() - timedelta(days=_NIGHTS)))
    failed = [
        (night, run)
        for night, run in runs_of_nights(collection, runs, _RUNS).items()
        if run.state == "failed" and night not in published and night >= since
    ]
    return sorted(failed, reverse=True, key=lambda found: found[0])
