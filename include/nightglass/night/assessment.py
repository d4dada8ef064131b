"""What a scored night means: its rate and drift against the reference and the baseline, and the decision."""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.engine.merge import INDEX_NAME, QUARANTINE_NAME, SCORES_NAME
from nightglass.night.decision import decide
from nightglass.night.drift import adjust_p_values, statistic_drift
from nightglass.night.embedding_drift import embedding_drift
from nightglass.night.tally import StatisticTally
from nightglass.records import (
    Assessment,
    Baseline,
    DriftReport,
    EmbeddingDrift,
    Histogram,
    QuarantinedImage,
    TopAnomaly,
    ValidationReport,
)
from nightglass.storage import Folder

_QUARANTINE_SAMPLE = 200
_HISTOGRAM_BINS = 60


@dataclass(frozen=True)
class NightFacts:
    """What is known of a night besides its scores."""

    collection: Collection
    night: str
    images_url: str
    data_version: str
    model_name: str
    model_version: str
    images: int
    ignored: int
    baseline: Baseline
    validation: ValidationReport | None
    nights_since_promotion: int | None


def assess_scores(facts: NightFacts, folder: Folder, detector: Detector, top: list[TopAnomaly]) -> Assessment:
    """Assess the night whose merged scores lie in ``folder``; memory does not grow with the night.

    Args:
        facts: The night.
        folder: Its score folder.
        detector: The model that scored it.
        top: The described top-k.
    """
    counts, tallies, histogram = _read_scores(folder, detector)
    baseline = facts.baseline
    statistics = [
        statistic_drift(
            name,
            detector.reference.statistics[name],
            night_counts=tally.counts,
            night_median=tally.median,
            baseline_psi=baseline.statistic_psi.get(name),
        )
        for name, tally in tallies.items()
        if counts["scored"]
    ]
    drift = DriftReport(statistics=adjust_p_values(statistics), embedding=_measure_embeddings(facts, folder, detector))
    return _record(facts, detector, counts, histogram, drift, top, folder.read_table(QUARANTINE_NAME))


def assess_unscored(facts: NightFacts, detector: Detector, quarantined: pa.Table) -> Assessment:
    """Assess a night that was stopped before scoring: nothing is known but its data.

    Args:
        facts: The night.
        detector: The model that would have scored it.
        quarantined: The unreadable images: ``path``, ``reason``, ``detail``.
    """
    empty = DriftReport(statistics=[], embedding=None)
    counts = {"scored": 0, "anomalous": 0}
    histogram = Histogram(edges=[0.0, 1.0], counts=[0])
    return _record(facts, detector, counts, histogram, empty, [], quarantined)


def _read_scores(folder: Folder, detector: Detector) -> tuple[dict[str, int], dict[str, StatisticTally], Histogram]:
    tallies = {name: StatisticTally(found.edges) for name, found in detector.reference.statistics.items()}
    scores: list[NDArray[np.float64]] = []
    counts = {"scored": 0, "anomalous": 0}
    with folder.open_read(SCORES_NAME) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=[*tallies, "is_anomalous"]):
            counts["scored"] += batch.num_rows
            counts["anomalous"] += int(np.count_nonzero(batch["is_anomalous"]))
            scores.append(np.asarray(batch["image_score"]))
            for name, tally in tallies.items():
                tally.add(np.asarray(batch[name]))
    values = np.concatenate(scores) if scores else np.empty(0)
    if not len(values):
        return counts, tallies, Histogram(edges=[0.0, 1.0], counts=[0])
    bins, edges = np.histogram(values, bins=_HISTOGRAM_BINS)
    return counts, tallies, Histogram(edges=edges.tolist(), counts=bins.tolist())


def _measure_embeddings(facts: NightFacts, folder: Folder, detector: Detector) -> EmbeddingDrift | None:
    size = facts.collection.drift.sample_size
    seed = detector.options.seed
    with folder.as_local(INDEX_NAME) as path:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        rows = _sample(index.ntotal, size, seed)
        night = np.stack([index.reconstruct(int(row)) for row in rows]) if len(rows) else np.empty((0, 1))
    reference = detector.reference.embeddings
    # Stored at half precision like the night's, so that rounding cannot tell the two apart.
    reference = reference[_sample(len(reference), size, seed)].astype(np.float16).astype(np.float32)
    if not len(night):
        return None
    return embedding_drift(reference, night, seed=seed, baseline=facts.baseline.separability)


def _sample(total: int, size: int, seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).permutation(total)[:size])


def _record(
    facts: NightFacts,
    detector: Detector,
    counts: dict[str, int],
    histogram: Histogram,
    drift: DriftReport,
    top: list[TopAnomaly],
    quarantined: pa.Table,
) -> Assessment:
    counts = counts | {"quarantined": quarantined.num_rows}
    decision = decide(
        **counts,
        images=facts.images,
        baseline=facts.baseline,
        drift=drift,
        validation=facts.validation,
        nights_since_promotion=facts.nights_since_promotion,
        options=facts.collection.decision,
        drift_options=facts.collection.drift,
    )
    known: dict[str, Any] = {
        "collection": facts.collection.name,
        "night": facts.night,
        "images_url": facts.images_url,
        "data_version": facts.data_version,
        "model_name": facts.model_name,
        "model_version": facts.model_version,
        "images": facts.images,
        "ignored": facts.ignored,
        "validation": facts.validation,
        "baseline": facts.baseline,
    }
    return Assessment(
        **known,
        **counts,
        num_neighbors=detector.options.num_neighbors,
        anomaly_rate=counts["anomalous"] / counts["scored"] if counts["scored"] else 0.0,
        image_threshold=detector.calibration.image_threshold,
        false_alarm_rate=detector.calibration.false_alarm_rate,
        score_histogram=histogram,
        quarantine_reasons=_count_reasons(quarantined),
        quarantine_sample=[QuarantinedImage(**row) for row in quarantined.slice(0, _QUARANTINE_SAMPLE).to_pylist()],
        drift=drift,
        decision=decision,
        top_anomalies=top,
    )


def _count_reasons(quarantined: pa.Table) -> dict[str, int]:
    """Count the reasons, the most frequent first."""
    found = pc.value_counts(quarantined["reason"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(found, key=lambda entry: -entry["counts"])}
