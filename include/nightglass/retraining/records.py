"""What is known of a retraining: the records that the gates, the card, the database and the pages read."""

from typing import Literal

from nightglass.records import ModelRef, Record


class Paired(Record):
    """A figure of both models on the same images; ``low`` and ``high`` bound challenger minus champion.

    ``p_value`` is the bootstrap's one-sided one that the challenger's is no higher.
    """

    champion: float
    challenger: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        """Challenger minus champion."""
        return self.challenger - self.champion


class Detection(Record):
    """How well both models rank defects above good images.

    ``source``: ``labels`` are defects that an analyst called so; ``drawn`` ones were drawn into good images.
    ``found`` is the share of the defects at and above the image threshold; a champion that raises more false alarms on
    these images than it aims at is measured at the threshold that holds the aim.
    """

    source: Literal["labels", "drawn"]
    defects: int
    normals: int
    auroc: Paired
    average_precision: Paired
    found: Paired


class FalseAlarms(Record):
    """Alarms on held-out images that are presumed good.

    ``only_champion`` and ``only_challenger`` count the images on which just one of them raised an alarm, and
    ``p_value`` is the exact one-sided test (McNemar) that the challenger raises fewer.
    """

    images: int
    champion: int
    challenger: int
    only_champion: int
    only_challenger: int
    p_value: float


class SliceFigures(Record):
    """Both models on one slice, such as ``camera=left``."""

    slice: str
    images: int
    false_alarms: FalseAlarms
    auroc: Paired | None
    source: Literal["labels", "drawn"] | None


class Cost(Record):
    """What a model takes: milliseconds for one image at a time, seconds until the first score, memory and disk."""

    p50_ms: float
    p95_ms: float
    cold_start_seconds: float
    peak_rss_mb: float
    size_mb: float


class TrainingFacts(Record):
    """What a challenger was fitted on; ``nights`` counts the images that each source gave."""

    data_version: str
    images: int
    defects: int
    called_normal: int
    champion_images: int
    sources: dict[str, int]
    left_out: dict[str, int]
    new_normal: str | None = None


class Evaluation(Record):
    """Champion and challenger on the same frozen images, measured in one run.

    ``images`` were scored by both; ``unreadable`` ones are left out of every figure.
    """

    collection: str
    champion: ModelRef
    challenger: ModelRef
    data_version: str  # of the frozen images
    images: int
    unreadable: int = 0
    confidence: float
    labels: Detection | None
    drawn: Detection | None
    false_alarms: FalseAlarms
    target_false_alarm_rate: float
    slices: list[SliceFigures]
    rank_correlation: float | None
    champion_cost: Cost
    challenger_cost: Cost


class Gate(Record):
    """One measured condition that a challenger must meet; ``low`` and ``high`` bound the difference."""

    name: str
    title: str
    champion: float | None
    challenger: float | None
    low: float | None
    high: float | None
    limit: float | None
    passed: bool
    why: str


class GateReport(Record):
    """All gates; ``sentence`` says to a person what came of them."""

    passed: bool
    sentence: str
    gates: list[Gate]


Outcome = Literal["promoted", "refused", "rejected", "dry_run"]


class Retraining(Record):
    """One retraining as the database keeps it; ``run`` is its key and the name of its folder."""

    collection: str
    run: str
    model_name: str
    champion_version: str
    challenger_version: str | None
    data_version: str
    started_at: str
    finished_at: str
    requested_by: str
    reason: str
    outcome: Outcome
    sentence: str
    folder_url: str
    gates: list[Gate]
