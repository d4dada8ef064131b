"""What the metrics know of a collection and its last night, read when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from nightglass.collections import Collection
from nightglass.engine.results import SUMMARY_NAME
from nightglass.engine.stage_times import WORKING_STAGES
from nightglass.pages.overview import OverviewRow, build_row
from nightglass.pages.runs import AirflowRun, Runs
from nightglass.storage import Folder
from nightglass.store import NightRow, Store
from nightglass.store.nights import NightMeasures

OpenNight = Callable[[Collection, str], Folder]
_RUNS = 30
_NIGHTS = 30
_OPEN = frozenset({"queued", "running"})


class Summary(BaseModel):
    """What ``summary.json`` says of how the night was scored."""

    scored: int
    workers: int
    images_per_second: float | None
    stage_seconds: dict[str, float]
    image_seconds: dict[str, float] | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a collection and its last night; ``scored`` is the last night that has scores."""

    collection: Collection
    row: OverviewRow
    measures: NightMeasures | None
    statistic_psi: dict[str, float]
    summary: Summary | None
    scored: NightRow | None
    runs: tuple[AirflowRun, ...]
    now: datetime

    def of_night(self, read: Callable[[NightRow], float | None]) -> float | None:
        """Return what ``read`` finds in the last night; None before the first one."""
        return None if self.row.last is None else read(self.row.last)

    def of_measures(self, read: Callable[[NightMeasures], float | None]) -> float | None:
        """Return what ``read`` finds in what the last night measured; None before the first one."""
        return None if self.measures is None else read(self.measures)

    @property
    def images_per_second(self) -> float | None:
        """Throughput of the last night: of the run where it was one, else of its computing threads together."""
        if self.summary is None:
            return None
        if self.summary.images_per_second:
            return self.summary.images_per_second
        seconds = sum(self.summary.stage_seconds.get(stage, 0.0) for stage in WORKING_STAGES)
        return self.summary.scored * self.summary.workers / seconds if seconds else None

    @property
    def anomaly_rate_ratio(self) -> float | None:
        """The last night's anomaly rate against what was usual then."""
        measures = self.measures
        if measures is None or measures.anomaly_rate is None or not measures.baseline_anomaly_rate:
            return None
        return measures.anomaly_rate / measures.baseline_anomaly_rate

    @property
    def nights_behind(self) -> int:
        """Nights after the last published one that are due or whose last run failed."""
        last = self.row.last.night if self.row.last else ""
        return sum(night > last for night in (*self.row.missing, *(night for night, _ in self.row.failed)))

    @property
    def open_runs(self) -> int:
        """Runs of the nightly DAG that are queued or running, of the last 30."""
        return sum(run.state in _OPEN for run in self.runs)

    @property
    def last_success(self) -> float | None:
        """When the last night that has scores was published, seconds since 1970."""
        return datetime.fromisoformat(self.scored.published_at).timestamp() if self.scored else None

    def age(self, at: str | None) -> float | None:
        """Return the seconds since a moment; None where there is none."""
        return None if at is None else (self.now - datetime.fromisoformat(at)).total_seconds()


def read_facts(collection: Collection, store: Store, runs: Runs, open_night: OpenNight, now: datetime) -> Facts:
    """Gather what is known of a collection.

    Args:
        collection: Which.
        store: The results.
        runs: What Airflow knows of the nights' runs.
        open_night: Opens the score folder of a night.
        now: When it is asked.
    """
    row = build_row(collection, store, runs, now)
    summary, psi = None, {}
    if row.last is not None:
        folder = open_night(collection, row.last.night)
        # A night that validation stopped has none, nor has one that is being scored again.
        if folder.exists(SUMMARY_NAME):
            summary = Summary.model_validate_json(folder.read_bytes(SUMMARY_NAME))
        [last] = store.recent_nights(collection.name, row.last.night, 1)
        psi = last.statistic_psi
    measures = store.nights.measures(collection.name, 1)
    scored = (night for night in store.list_nights(collection.name, _NIGHTS) if night.scored)
    return Facts(
        collection=collection,
        row=row,
        measures=measures[0] if measures else None,
        statistic_psi=psi,
        summary=summary,
        scored=next(scored, None),
        runs=tuple(runs.recent(collection.name, _RUNS)),
        now=now,
    )
