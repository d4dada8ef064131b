"""The nights as Prometheus metrics: read when they are asked for, nothing is kept between."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from nightglass.collections import Collection
from nightglass.pages.night_facts import Facts, OpenNight, read_facts
from nightglass.pages.runs import Runs
from nightglass.records import Verb
from nightglass.store import Store

_log = logging.getLogger(__name__)
_Found = dict[str, Facts]
_GAUGES: Sequence[tuple[str, str, Callable[[Facts], float | None]]] = (
    ("night_images", "Images of the last night", lambda f: f.of_night(lambda n: n.images)),
    ("night_images_scored", "Images of the last night that were scored", lambda f: f.of_night(lambda n: n.scored)),
    ("night_images_quarantined", "Images of the last night left out", lambda f: f.of_night(lambda n: n.quarantined)),
    ("night_images_anomalous", "Anomalous images of the last night", lambda f: f.of_night(lambda n: n.anomalous)),
    ("night_anomaly_rate", "Anomalous of the scored images", lambda f: f.of_night(lambda n: n.anomaly_rate)),
    (
        "night_baseline_anomaly_rate",
        "The anomaly rate that was usual when the last night was judged",
        lambda f: f.of_measures(lambda m: m.baseline_anomaly_rate),
    ),
    ("night_anomaly_rate_ratio", "Against the baseline", lambda f: f.anomaly_rate_ratio),
    ("night_drift_psi", "PSI of the statistic that moved most", lambda f: f.of_measures(lambda m: m.psi)),
    (
        "night_drift_baseline_psi",
        "The largest PSI that was usual when the last night was judged",
        lambda f: f.of_measures(lambda m: m.baseline_psi),
    ),
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
    (
        "last_success_timestamp_seconds",
        "When the last night that has scores was published, since 1970",
        lambda f: f.last_success,
    ),
    ("missing_nights", "Nights that are due and not published, of the last 30", lambda f: len(f.row.missing)),
    (
        "failed_nights",
        "Nights whose last run failed and published nothing, of the last 30",
        lambda f: len(f.row.failed),
    ),
    ("nights_behind", "Missing and failed nights after the last published one", lambda f: f.nights_behind),
    ("open_runs", "Runs of the nightly DAG that are queued or running, of the last 30", lambda f: f.open_runs),
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
        yield from (
            _tell_decisions(facts),
            _tell_by(facts, _STAGES, lambda f: f.summary.stage_seconds if f.summary else {}),
            _tell_by(facts, _IMAGE_SECONDS, _quantiles),
            _tell_by(facts, _STATISTICS, lambda f: f.statistic_psi),
            _tell_models(facts),
            _tell_champions(facts),
        )

    def _read_all(self) -> dict[str, tuple[Facts, list[float | None]]]:
        """Return the facts and the gauges' values of every collection that can be read."""
        found = {}
        for collection in self._collections:
            try:
                facts = read_facts(collection, self._store, self._runs, self._open_night, self._now)
                found[collection.name] = facts, [read(facts) for _, _, read in _GAUGES]
            except Exception:  # noqa: BLE001  one collection's fault, whatever it is, must not hide the others
                _log.exception("%s: expected metrics, got an error", collection.name)
        return found


#: Name, what it is, and the label beside the collection; each has a handful of values, never an image's name.
_STAGES = (
    "nightglass_night_stage_seconds",
    "Busy seconds of each stage of the last night, summed over threads",
    "stage",
)
_IMAGE_SECONDS = (
    "nightglass_night_image_seconds",
    "Seconds that a thread takes for an image of the last night",
    "quantile",
)
_STATISTICS = ("nightglass_night_statistic_psi", "PSI of each statistic of the last night", "statistic")


def _tell_by(
    found: _Found, described: tuple[str, str, str], read: Callable[[Facts], dict[str, float]]
) -> GaugeMetricFamily:
    name, documentation, label = described
    family = GaugeMetricFamily(name, documentation, labels=["collection", label])
    for collection, facts in found.items():
        for value, number in read(facts).items():
            family.add_metric([collection, value], number)
    return family


def _quantiles(facts: Facts) -> dict[str, float]:
    """Return what the summary calls p50 and p95 as Prometheus names quantiles."""
    seconds = facts.summary.image_seconds if facts.summary else None
    return {f"{int(name.removeprefix('p')) / 100:g}": value for name, value in (seconds or {}).items()}


def _tell_decisions(found: _Found) -> Metric:
    family = GaugeMetricFamily(
        "nightglass_night_decision", "1 for what was decided last", labels=["collection", "decision"]
    )
    for name, facts in found.items():
        for verb in Verb if facts.row.last else ():
            family.add_metric([name, verb.value], float(facts.row.last is not None and facts.row.last.decision is verb))
    return family


def _tell_models(found: _Found) -> Metric:
    family = InfoMetricFamily("nightglass_night_model", "The model that scored the last night", labels=["collection"])
    for name, facts in found.items():
        if night := facts.row.last:
            family.add_metric([name], {"model": night.model_name, "version": night.model_version})
    return family


def _tell_champions(found: _Found) -> Metric:
    family = InfoMetricFamily("nightglass_champion", "The model in production", labels=["collection"])
    for name, facts in found.items():
        if champion := facts.row.champion:
            family.add_metric([name], {"model": champion.model_name, "version": champion.version})
    return family
