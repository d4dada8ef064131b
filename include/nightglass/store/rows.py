"""An assessment as rows, and rows as records."""

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Any, Literal

from nightglass.records import Assessment, Record, Verb

Row = dict[str, Any]
Event = Literal["promoted", "rolled_back"]


class NightRow(Record):
    """One row of the ``nights`` view, and of what assessment it is: ``result_sha256``."""

    collection: str
    night: str
    images: int
    ignored: int
    scored: int
    quarantined: int
    anomalous: int
    anomaly_rate: float | None
    decision: Verb
    sentence: str
    model_name: str
    model_version: str
    data_version: str
    image_threshold: float | None
    false_alarm_rate: float | None
    separability: float | None
    validation_passed: bool | None
    validation_warnings: int | None
    images_url: str
    report_url: str
    published_at: str
    result_sha256: str


class PromotionEvent(Record):
    """One row of the ``model_history`` view; ``until`` is None for what is production now."""

    collection: str
    model_name: str
    event: Event
    version: str
    previous_version: str | None
    at: str
    until: str | None
    by: str
    reason: str
    run: str | None
    entry: int


def result_sha256(assessment: Assessment) -> str:
    """Return the sha256 of the assessment's canonical JSON: sorted keys, no blanks, ASCII."""
    return _sha256_of_json(assessment.model_dump(mode="json"))


def results_of_file(assessment: bytes) -> frozenset[str]:
    """Return what ``result_sha256`` can be of a night that was published from this file.

    It is that of the file as it is, also where a later Nightglass would read more out of it, and where Nightglass was
    changed between assessing and publishing that of what was read.

    Raises:
        ValueError: It is no assessment.
    """
    read = result_sha256(Assessment.model_validate_json(assessment))
    return frozenset({read, _sha256_of_json(json.loads(assessment))})


def _sha256_of_json(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def format_time(moment: datetime) -> str:
    """Return ``moment`` in UTC as ISO 8601 of fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def night_row(assessment: Assessment, report_url: str, now: datetime) -> Row:
    """Return the row of ``night_results``."""
    a = assessment
    embedding, validation, baseline = a.drift.embedding, a.validation, a.baseline
    return storable(
        {
            **a.model_dump(include=_SAME_NAME, mode="json"),
            "anomaly_rate": a.anomaly_rate if a.scored else None,
            "decision": a.decision.verb.value,
            "sentence": a.decision.sentence,
            "reasons": "\n".join(reason.text for reason in a.decision.reasons),
            "baseline_source": baseline.source,
            "baseline_nights": baseline.nights,
            "baseline_scored": baseline.scored,
            "baseline_anomalous": baseline.anomalous,
            "baseline_anomaly_rate": baseline.anomaly_rate,
            "frozen_scored": baseline.frozen_scored,
            "frozen_anomalous": baseline.frozen_anomalous,
            "separability": embedding and embedding.separability,
            "separability_p_value": embedding and embedding.p_value,
            "baseline_separability": embedding and embedding.baseline_separability,
            "embedding_num_reference": embedding and embedding.num_reference,
            "embedding_num_night": embedding and embedding.num_night,
            "validation_passed": int(validation.passed) if validation else None,
            "validation_warnings": validation.warnings if validation else None,
            "report_url": report_url,
            "result_sha256": result_sha256(a),
            "published_at": format_time(now),
        }
    )


_SAME_NAME = {
    "collection", "night", "images_url", "images", "ignored", "scored", "quarantined", "anomalous",
    "image_threshold", "false_alarm_rate", "num_neighbors", "model_name", "model_version", "data_version",
}  # fmt: skip


def child_rows(assessment: Assessment) -> dict[str, list[Row]]:
    """Return the rows of the night's other tables by the query that inserts them."""
    key = {"collection": assessment.collection, "night": assessment.night}
    reasons = [
        {
            **reason.model_dump(mode="json", exclude={"limit"}),
            "limit_value": reason.limit,
            "position": position,
        }
        for position, reason in enumerate(assessment.decision.reasons, start=1)
    ]
    drift = [
        {
            **statistic.model_dump(exclude={"name", "bin_edges", "reference_share", "night_share"}),
            "statistic": statistic.name,
            "position": position,
        }
        for position, statistic in enumerate(assessment.drift.statistics, start=1)
    ]
    anomalies = [
        {
            **anomaly.model_dump(include={"rank", "path", "sha256", "image_score"}),
            "is_anomalous": int(anomaly.is_anomalous),
            "image_file": anomaly.image,
            "anomaly_map_file": anomaly.anomaly_map,
            "nearest_path": anomaly.neighbors[0].path if anomaly.neighbors else None,
        }
        for anomaly in assessment.top_anomalies
    ]
    quarantined = [{"reason": r, "images": n} for r, n in assessment.quarantine_reasons.items()]
    rows = {
        "insert_reason": reasons,
        "insert_statistic_drift": drift,
        "insert_anomaly": anomalies,
        "insert_quarantine_count": quarantined,
    }
    return {query: [storable(key | row) for row in found] for query, found in rows.items()}


def storable(row: Row) -> Row:
    """Return the row as both databases can hold it: no NaN, and no NUL character in a text."""
    return {name: _storable_value(value) for name, value in row.items()}


def _storable_value(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    # PostgreSQL has no NUL in a text; a path from an object store can have one.
    return value.replace("\0", "\\x00") if isinstance(value, str) else value
