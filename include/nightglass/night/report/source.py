"""What a score folder says of a night, whichever command wrote it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from nightglass.engine.results import SHADOW_NAME
from nightglass.errors import InputError
from nightglass.night.shadow_records import ShadowNight
from nightglass.records import (
    Assessment,
    Histogram,
    QuarantinedImage,
    TopAnomaly,
    ValidationReport,
)
from nightglass.storage import Folder

MAX_QUARANTINE_ROWS = 200
_HISTOGRAM_BINS = 60

Model = TypeVar("Model", bound=BaseModel)


class Summary(BaseModel):
    """What the report reads of ``summary.json``; the rest of that file is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    images: int
    ignored: int = 0
    scored: int
    quarantined: int
    anomalous: int
    image_threshold: float
    false_alarm_rate: float | None = None
    data_version: str = ""
    model: str = ""
    model_version: str = ""
    images_url: str = ""
    num_neighbors: int | None = None


class _TopAnomalies(BaseModel):
    model_config = ConfigDict(extra="ignore")

    top_anomalies: list[TopAnomaly]


@dataclass(frozen=True)
class ScoredNight:
    """A night as the report shows it; ``assessment`` is there only for a night that Airflow ran."""

    summary: Summary
    top_anomalies: Sequence[TopAnomaly]
    histogram: Histogram | None
    quarantine_reasons: dict[str, int]
    quarantine_sample: Sequence[QuarantinedImage]
    validation: ValidationReport | None
    assessment: Assessment | None = None


def read_scored_night(source: Folder) -> ScoredNight:
    """Read a score folder.

    Raises:
        InputError: It is no score folder, or one of its files is missing or not what it should be.
    """
    if source.exists("assessment.json"):
        return night_of_assessment(_read_record(source, "assessment.json", Assessment), source)
    if not source.exists("summary.json"):
        raise InputError(f"{source.url}: expected a score folder with summary.json or assessment.json, got none")
    summary = _read_record(source, "summary.json", Summary)
    reasons, sample = _read_quarantine(source)
    return ScoredNight(
        summary=summary,
        top_anomalies=_read_record(source, "top_anomalies.json", _TopAnomalies).top_anomalies,
        histogram=_read_histogram(source),
        quarantine_reasons=reasons,
        quarantine_sample=sample,
        validation=_read_validation(source),
    )


def read_shadow(source: Folder) -> ShadowNight | None:
    """Return what a challenger made of the night; None where none shadowed the champion.

    Raises:
        InputError: The file is not what it should be.
    """
    return _read_record(source, SHADOW_NAME, ShadowNight) if source.exists(SHADOW_NAME) else None


def night_of_assessment(assessment: Assessment, source: Folder) -> ScoredNight:
    """Return a night as its assessment has it; ``source`` is its score folder.

    Raises:
        InputError: A file beside it is not what it should be.
    """
    return ScoredNight(
        summary=Summary.model_validate(assessment.model_dump() | {"model": assessment.model_name}),
        top_anomalies=assessment.top_anomalies,
        histogram=assessment.score_histogram if sum(assessment.score_histogram.counts) else None,
        quarantine_reasons=assessment.quarantine_reasons,
        quarantine_sample=assessment.quarantine_sample[:MAX_QUARANTINE_ROWS],
        validation=assessment.validation or _read_validation(source),
        assessment=assessment,
    )


def _read_validation(source: Folder) -> ValidationReport | None:
    if not source.exists("validation.json"):
        return None
    return _read_record(source, "validation.json", ValidationReport)


def _read_record(source: Folder, name: str, model: type[Model]) -> Model:
    where = f"{source.url}/{name}"
    try:
        raw: Any = json.loads(source.read_bytes(name))
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise InputError(f"{where}: {place}{first['msg']}, got {first['input']!r:.100}") from error
    except ValueError as error:  # includes a syntax error and bytes that are no UTF-8
        raise InputError(f"{where}: expected JSON, got {error}") from error


def _read_table(source: Folder, name: str, columns: list[str]) -> pa.Table:
    table = source.read_table(name, columns=columns)
    missing = sorted(set(columns) - set(table.column_names))
    if missing:
        raise InputError(f"{source.url}/{name}: expected the columns {columns}, got none named {missing}")
    return table


def _read_histogram(source: Folder) -> Histogram | None:
    import numpy as np

    scores = _read_table(source, "scores.parquet", ["image_score"])["image_score"].to_numpy()
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return None
    counts, edges = np.histogram(scores, bins=_HISTOGRAM_BINS)
    return Histogram(edges=edges.tolist(), counts=counts.tolist())


def _read_quarantine(source: Folder) -> tuple[dict[str, int], list[QuarantinedImage]]:
    table = _read_table(source, "quarantine.parquet", ["path", "reason", "detail"])
    reasons = Counter(table["reason"].to_pylist())
    rows = table.slice(0, MAX_QUARANTINE_ROWS).to_pylist()
    sample = [QuarantinedImage(**{key: value or "" for key, value in row.items()}) for row in rows]
    return dict(reasons), sample
