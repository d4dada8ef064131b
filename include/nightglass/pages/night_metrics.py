"""The nights as Prometheus metrics: read when they are asked for, nothing is kept between."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel

from nightglass.collections import Collection
from nightglass.engine.results import SUMMARY_NAME
from nightglass.engine.stage_times import WORKING_STAGES
from nightglass.pages.overview import OverviewRow, build_row
from nightglass.pages.runs import Runs
from nightglass.records import Verb
from nightglass.storage import Folder
from nightglass.store import NightRow, Store
from nightglass.store.nights import NightMeasures

_log = logging.getLogger(__name__)
OpenNight = Callable[[Collection, str], Folder]


class Summary(BaseModel):
    """What ``summary.json`` says of how the night was scored."""

    scored: int
    workers: int
    images_per_second: float | None
    stage_seconds: dict[str, float]


@dataclass(frozen=True)
class Facts:
    """What is known of a collection and its last night."""

    row: OverviewRow
    measures: NightMeasures | None
    summary: Summary | None
    now: datetime

    def of_night(self, read: Callable[[NightRow], float | None]) -> float | None:
        """Return what ``read`` finds in the last night; None before the first one."""
        return None if self.row.last is None else read(self.row.last)

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

    def age(self, at: str | None) -> float | None:
        """Return the seconds since a moment; None where there is none."""
        return None if at is None else (self.now - datetime.fromisoformat(at)).total_seconds()


_GAUGES: Sequence[tuple[str, str, Callable[[Facts], float | None]]] = (
    ("night_images", "Images of the last night", lambda f: f.of_night(lambda n: n.images)),
    ("night_images_scored", "Images of the last night that were scored", lambda f: f.of_night(lambda n: n.scored)),
    ("night_images_quarantined", "Images of the last night left out", lambda f: f.of_night(lambda n: n.quarantined)),
    ("night_images_anomalous", "Anomalous images of the last night", lambda f: f.of_night(lambda n: n.anomalous)),
    ("night_anomaly_rate", "Anomalous of the scored images", lambda f: f.of_night(lambda n: n.anomaly_rate)),
    ("night_anomaly_rate_ratio", "Against the baseline", lambda f: f.anomaly_rate_ratio),
    ("night_drift_psi", "PSI of the statistic that moved most", lambda f: f.measures.psi if f.measures else None),
    (
        "night_drift_separability",
        "Of the embeddings from the reference's",
        lambda f: f.of_night(lambda n: n.separability),
    ),
    (
        "night_validation_passed",
        "Whether no critical expectation failed",
        lambda f: f.of_night(lambda n: None if n.validation_passed is None else float(n.validation_passed)),
    ),
    ("night_images_per_second", "Throughput of scoring the last night", lambda f: f.images_per_second),
    (
        "night_age_seconds",
        "Since the last night was published",
        lambda f: f.age(f.row.last.published_at if f.row.last else None),
    ),
    ("missing_nights", "Nights that are due and not published, of the last 30", lambda f: len(f.row.missing)),
    (
        "failed_nights",
        "Nights whose last run failed and published nothing, of the last 30",
        lambda f: len(f.row.failed),
    ),
    ("open_verdicts", "Top anomalies of the last nights without a verdict", lambda f: f.row.open_verdicts),
    (
        "champion_age_seconds",
        "Since the champion was promoted",
        lambda f: f.age(f.row.champion.at if f.row.champion else None),
    ),
)


class NightMetrics(Collector):
    """The last night of some collections, as a scrape finds it.

    Args:
        collections: Those that may be told.
        broken: Names of files that are no collection; each is told as not readable.
        store: The results.
        runs: What Airflow knows of the nights' runs.
        open_night: Opens the score folder of a night.
        now: When it is asked.
    """

    def __init__(
        self,
        collections: Iterable[Collection],
        broken: Iterable[str],
        store: Store,
        runs: Runs,
        open_night: OpenNight,
        now: datetime,
    ) -> None:
        self._collections, self._broken = list(collections), set(broken)
        self._store, self._runs, self._open_night, self._now = store, runs, open_night, now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of every collection; one that cannot be read is told and takes no other's place."""
        found = self._read_all()
        readable = GaugeMetricFamily(
            "nightglass_collection_readable", "Whether everything below could be read", labels=["collection"]
        )
        for name in sorted({collection.name for collection in self._collections} | self._broken):
            readable.add_metric([name], float(name in found and name not in self._broken))
        yield readable
        for place, (name, documentation, _) in enumerate(_GAUGES):
            family = GaugeMetricFamily(f"nightglass_{name}", documentation, labels=["collection"])
            for collection, (_, values) in found.items():
                if (value := values[place]) is not None:
                    family.add_metric([collection], value)
            yield family
        facts = {name: facts for name, (facts, _) in found.items()}
        yield from (_tell_decisions(facts), _tell_stages(facts), _tell_champions(facts))

    def _read_all(self) -> dict[str, tuple[Facts, list[float | None]]]:
        """Return the facts and the gauges' values of every collection that can be read."""
        found = {}
        for collection in self._collections:
            try:
                facts = self._read(collection)
                found[collection.name] = facts, [read(facts) for _, _, read in _GAUGES]
            except Exception:  # noqa: BLE001  one collection's fault, whatever it is, must not hide the others
                _log.exception("%s: expected metrics, got an error", collection.name)
        return found

    def _read(self, collection: Collection) -> Facts:
        row = build_row(collection, self._store, self._runs, self._now)
        summary = None
        if row.last is not None:
            folder = self._open_night(collection, row.last.night)
            # A night that validation stopped has none, nor has one that is being scored again.
            if folder.exists(SUMMARY_NAME):
                summary = Summary.model_validate_json(folder.read_bytes(SUMMARY_NAME))
        measures = self._store.nights.measures(collection.name, 1)
        return Facts(row, measures[0] if measures else None, summary, self._now)


def _tell_decisions(found: dict[str, Facts]) -> Metric:
    family = GaugeMetricFamily(
        "nightglass_night_decision", "1 for what was decided last", labels=["collection", "decision"]
    )
    for name, facts in found.items():
        for verb in Verb if facts.row.last else ():
            family.add_metric([name, verb.value], float(facts.row.last is not None and facts.row.last.decision is verb))
    return family


def _tell_stages(found: dict[str, Facts]) -> Metric:
    family = GaugeMetricFamily(
        "nightglass_night_stage_seconds",
        "Busy seconds of each stage of the last night, summed over threads",
        labels=["collection", "stage"],
    )
    for name, facts in found.items():
        for stage, seconds in (facts.summary.stage_seconds if facts.summary else {}).items():
            family.add_metric([name, stage], seconds)
    return family


def _tell_champions(found: dict[str, Facts]) -> Metric:
    family = InfoMetricFamily("nightglass_champion", "The model in production", labels=["collection"])
    for name, facts in found.items():
        if champion := facts.row.champion:
            family.add_metric([name], {"model": champion.model_name, "version": champion.version})
    return family
