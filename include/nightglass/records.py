"""What is known of an assessed night: the one record that the database, the report and MLflow read."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of the stored records: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelRef(Record):
    """One version of a registered model."""

    name: str
    version: str

    @property
    def uri(self) -> str:
        """What finds exactly this version again."""
        return f"models:/{self.name}/{self.version}"


class Verb(StrEnum):
    """What a night asks for, from best to worst is: ok, watch, retrain; hold means do not judge."""

    OK = "ok"
    WATCH = "watch"
    RETRAIN = "retrain"
    HOLD = "hold"


class Histogram(Record):
    """Counts per bin; ``edges`` has one more entry than ``counts``."""

    edges: list[float]
    counts: list[int]


class NeighborImage(Record):
    """A known-good image that is close to an anomaly."""

    path: str
    distance: float
    thumbnail: str | None = None  # file in the score folder


class TopAnomaly(Record):
    """One of the night's highest image scores; files are relative to the score folder.

    ``anomaly_map`` is an 8-bit grey PNG, ``(H, W)`` of ``image``; 0 = like the good images, 128 = as far from
    them as good images hardly ever get.
    """

    rank: int
    path: str
    sha256: str
    image_score: float
    is_anomalous: bool
    image: str
    anomaly_map: str
    neighbors: list[NeighborImage]


class StatisticDrift(Record):
    """How far one image statistic moved from the reference.

    ``bin_edges`` are the inner edges (``bins - 1`` of them); the outer bins are open-ended. Shares sum to 1.
    ``adjusted_p_value`` is Holm's correction of ``p_value`` over the statistics of the night.
    """

    name: str
    psi: float
    p_value: float
    adjusted_p_value: float
    baseline_psi: float | None = None
    bin_edges: list[float]
    reference_share: list[float]
    night_share: list[float]
    reference_median: float
    night_median: float


class EmbeddingDrift(Record):
    """How well a classifier tells tonight's embeddings from the reference's.

    ``separability`` is ``2 * AUC - 1`` on held-out halves, at least 0: 0 = not at all, 1 = perfectly.
    """

    separability: float
    p_value: float
    baseline_separability: float | None = None
    num_reference: int
    num_night: int


class DriftReport(Record):
    """All drift measures of a night."""

    statistics: list[StatisticDrift]
    embedding: EmbeddingDrift | None


class Baseline(Record):
    """What the champion's own quiet nights show; ``source`` says where the rate comes from.

    ``learning``: too few quiet nights yet and no expected rate given, so nothing can double.
    ``frozen_*`` are the first figures after the promotion, kept so that slow change is seen; ``recent_*`` are the
    last quiet nights after those, which tonight is pooled with to be compared with them.
    """

    source: Literal["nights", "expected", "learning"]
    nights: int
    scored: int
    anomalous: int
    anomaly_rate: float | None
    statistic_psi: dict[str, float] = {}
    separability: float | None = None
    frozen_scored: int = 0
    frozen_anomalous: int = 0
    recent_nights: int = 0
    recent_scored: int = 0
    recent_anomalous: int = 0
    last_scored: int = 0  # last_*: of the quiet night before tonight
    last_anomalous: int = 0
    last_statistic_psi: dict[str, float] = {}


class Reason(Record):
    """One line of a decision: a measure, its numbers, and what they mean."""

    code: str  # stable, for filters: anomaly_rate, drift:brightness, drift:embedding, validation, …
    verb: Verb
    text: str
    value: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    p_value: float | None = None
    limit: float | None = None


class Decision(Record):
    """What the night asks for; ``sentence`` says it to a person."""

    verb: Verb
    sentence: str
    reasons: list[Reason]


class ExpectationResult(Record):
    """One expectation on the night's data, checked by Great Expectations."""

    name: str
    severity: Literal["critical", "warning"]
    passed: bool
    expected: str
    observed: str


class ValidationReport(Record):
    """All expectations of a night; ``passed`` is false only when a critical one failed."""

    passed: bool
    expectations: list[ExpectationResult]

    @property
    def warnings(self) -> int:
        """Number of failed expectations that do not stop a night."""
        return sum(not e.passed and e.severity == "warning" for e in self.expectations)


class QuarantinedImage(Record):
    """An image that was left out, and why."""

    path: str
    reason: str
    detail: str


class Assessment(Record):
    """Everything that was measured and decided about a night; a replay gives the same one."""

    collection: str
    night: str  # YYYY-MM-DD
    images_url: str
    data_version: str
    model_name: str
    model_version: str
    num_neighbors: int
    images: int
    ignored: int
    quarantined: int
    scored: int
    anomalous: int
    anomaly_rate: float
    image_threshold: float
    false_alarm_rate: float
    score_histogram: Histogram
    quarantine_reasons: dict[str, int]
    quarantine_sample: list[QuarantinedImage]  # at most 200
    validation: ValidationReport | None
    baseline: Baseline
    drift: DriftReport
    decision: Decision
    top_anomalies: list[TopAnomaly]


class NightSummary(Record):
    """One row of the ``nights`` view, as the baseline and the report's trends read it."""

    collection: str
    night: str
    model_version: str
    scored: int
    anomalous: int
    quarantined: int
    anomaly_rate: float | None
    decision: Verb
    statistic_psi: dict[str, float] = {}
    separability: float | None = None


class ShownImage(Record):
    """A top anomaly that a night's report showed."""

    night: str
    model_version: str
    path: str
    sha256: str
