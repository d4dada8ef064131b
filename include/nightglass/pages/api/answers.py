"""What the API answers; times are ISO 8601 in UTC, shares lie between 0 and 1, nights are ``YYYY-MM-DD``."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from nightglass.records import Baseline, Decision, DriftReport, ValidationReport, Verb
from nightglass.retraining.verdicts import Scope, Word
from nightglass.store import Event


class Night(BaseModel):
    """A published night in its numbers."""

    night: date
    decision: Verb
    sentence: str = Field(description="the decision in words")
    images: int
    ignored: int = Field(description="files that do not count as images")
    scored: int
    quarantined: int
    anomalous: int
    anomaly_rate: float | None = Field(description="anomalous of the scored images; null where none was scored")
    image_threshold: float | None
    false_alarm_rate: float | None = Field(description="of good images at the threshold, when the detector was fitted")
    separability: float | None = Field(description="of the night's embeddings from the reference's; 0 is not at all")
    validation_passed: bool | None
    validation_warnings: int | None
    model_name: str
    model_version: str
    data_version: str
    published_at: datetime


class Champion(BaseModel):
    """The model in production."""

    model_name: str
    version: str
    since: datetime
    by: str
    reason: str


class CollectionState(BaseModel):
    """A collection as the overview shows it."""

    collection: str
    description: str
    last_night: Night | None
    missing_nights: list[date] = Field(description="due and not published, newest first")
    failed_nights: list[date] = Field(description="whose last run failed and published nothing, newest first")
    champion: Champion | None
    shown: int = Field(description="top anomalies of the last 30 nights")
    open_verdicts: int = Field(description="of these, how many nobody said anything of")


class BrokenCollection(BaseModel):
    """A collection's file that cannot be read."""

    collection: str
    problem: str


class Collections(BaseModel):
    """Every collection that one may read, what needs a person first."""

    collections: list[CollectionState]
    broken: list[BrokenCollection]


class Nights(BaseModel):
    """A page of nights, newest first."""

    nights: list[Night]
    next_before: date | None = Field(description="give it as `before` to read on; null at the end")


class Provenance(BaseModel):
    """What the night was made from."""

    model_name: str
    model_version: str
    data_version: str = Field(description="sha256 of the manifest")
    images_url: str
    report_url: str
    num_neighbors: int


class NightDetails(BaseModel):
    """A night with the numbers and reasons behind its decision."""

    collection: str
    night: date
    published_at: datetime
    images: int
    ignored: int
    scored: int
    quarantined: int
    anomalous: int
    anomaly_rate: float | None
    image_threshold: float
    false_alarm_rate: float
    decision: Decision
    baseline: Baseline
    drift: DriftReport
    validation: ValidationReport | None
    quarantine_reasons: dict[str, int] = Field(description="images by why they were left out")
    provenance: Provenance


class NearImage(BaseModel):
    """A good image of the memory bank, near to the one that the answer is about."""

    path: str = Field(description="below the folder that the detector was fitted on")
    distance: float = Field(description="scaled by how far good images lie from each other there")


class GivenWord(BaseModel):
    """The verdict that holds for an image."""

    verdict: Word
    scope: Scope = Field(description="whether it was said of the image, its slice or the whole night")
    by: str
    at: datetime
    note: str


class Anomaly(BaseModel):
    """One of a night's highest image scores."""

    rank: int
    path: str
    sha256: str
    image_score: float
    is_anomalous: bool
    slices: list[str]
    picture: str = Field(description="address of the picture as JPEG")
    anomaly_map: str = Field(description="address of the map as WebP, to lie over the picture")
    neighbors: list[NearImage] = Field(description="nearest first")
    verdict: GivenWord | None


class Anomalies(BaseModel):
    """The night's top anomalies, highest first."""

    image_threshold: float
    top_anomalies: list[Anomaly]


class ScoredImage(BaseModel):
    """One row of the night's scores; nights of an older Nightglass lack some columns."""

    path: str
    sha256: str
    image_score: float
    is_anomalous: bool
    nearest_path: str | None = None
    nearest_distance: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    colourfulness: float | None = None
    width: int | None = None
    height: int | None = None


class Scores(BaseModel):
    """A page of a night's scores, in the order of the manifest."""

    total: int
    scores: list[ScoredImage]
    next_after: int | None = Field(description="give it as `after` to read on; null at the end")


class GivenVerdict(BaseModel):
    """A verdict as it was recorded; the last one on a subject counts, unless it was taken back."""

    entry: int
    night: date
    scope: Scope
    path: str | None
    sha256: str | None
    slice: str | None
    verdict: Word
    by: str
    at: datetime
    note: str
    source: str = Field(description="what recorded it: page, cli or import")
    withdrawn_at: datetime | None = Field(description="when whoever gave it took it back")


class Verdicts(BaseModel):
    """A page of verdicts, in the order in which they were recorded."""

    verdicts: list[GivenVerdict]
    next_after: int | None = Field(description="give it as `after` to read on; null at the end")


class Change(BaseModel):
    """An entry of the promotion log: which version became the champion, when, by whom and why."""

    entry: int
    event: Event
    model_name: str
    version: str
    previous_version: str | None
    at: datetime
    until: datetime | None = Field(description="null for what is in production now")
    by: str
    reason: str
    run: str | None


class Models(BaseModel):
    """Which version was the champion when, newest first."""

    changes: list[Change]
