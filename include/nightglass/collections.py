"""A collection: a named image folder that gets a batch every night, described by one YAML file."""

import difflib
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from nightglass.collection_alerts import Alerts
from nightglass.collection_limits import DecisionOptions, Drift, Validation
from nightglass.collection_parts import Retraining, Section
from nightglass.collection_retention import Retention
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings
from nightglass.strict_yaml import read_mapping

#: Of the network on a CPU; ``auto`` is bf16 where the processor has it and f32 elsewhere.
Precision = Literal["int8", "auto", "f32"]
Device = Literal["auto", "cpu", "cuda"]
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Ready(Section):
    """When a night's folder counts as complete."""

    marker: str | None = Field(
        None, min_length=1, pattern=r"^[^/]", description="file whose presence says the folder is complete"
    )
    quiet_minutes: float = Field(10, ge=0, description="without a marker: no file newer than this")
    deadline_hours: float = Field(6, gt=0, description="then the night fails and people are told")
    poll_seconds: float = Field(60, ge=10, description="below 10 Airflow may take a look for a lost task")


class Backbone(Section):
    """Which network gives the embeddings, and from which of its stages."""

    name: str = Field("tf_efficientnet_lite0", description="a timm model name")
    weights: str = Field("package", description="`package`, `timm` (its hub), or a .safetensors/.pth file or URL")
    image_size: int = Field(192, ge=32, le=1024, description="side of the square network input, pixels")
    stages: tuple[int, ...] = Field((4,), min_length=1, description="feature stages pooled into the embedding")
    patch_stages: tuple[int, ...] = Field((3,), min_length=1, description="stages of the patch embedding")


class DetectorOptions(Section):
    """How a detector is fitted."""

    backbone: Backbone = Backbone()
    precision: Precision = Field(
        "int8", description="of the network on a CPU; int8: where it ranks images as auto does, else auto"
    )
    num_neighbors: int = Field(3, ge=1, le=50)
    false_alarm_rate: float = Field(0.01, gt=0, lt=0.5, description="aim of the image threshold on good images")
    max_bank_images: int = Field(20_000, ge=10)
    patch_bank_size: int = Field(10_000, ge=100, description="places of good images for the patch-level score")
    seed: int = 0


class Scoring(Section):
    """How a night is scored."""

    top_k: int = Field(20, ge=1, le=1000)
    shard_size: int = Field(2_000, ge=1, description="images per mapped task; grows so that there are <= 256")
    batch_size: int = Field(32, ge=1, le=512, description="at most; the last batches of a shard have fewer images")
    device: Device = Field("auto", description="runs the network; auto: CUDA where torch finds it, but int8 on a CPU")
    max_pixels: int = Field(
        100_000_000, ge=1, le=2_000_000_000, description="larger images are quarantined, never decoded"
    )
    max_file_bytes: int = Field(500_000_000, ge=1)
    suffix_mismatch: Literal["quarantine", "accept"] = "quarantine"
    pool: str = "nightglass_scoring"
    queue: str = Field("cpu", pattern=r"^[A-Za-z0-9_.-]+$", description="Celery queue of tasks that run the network")


class Collection(Section):
    """One collection's file."""

    name: str
    description: str = ""
    images: str = Field(
        description="folder or s3:// URL of a night, with {night} where its date goes; ${NIGHTGLASS_HOME} is filled in"
    )
    connection: str | None = Field(None, description="Airflow connection with the store's credentials")
    suffixes: tuple[str, ...] = (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp")
    schedule: str | None = Field("0 2 * * *", description="cron; null: only by hand")
    timezone: str = "UTC"
    start_date: date = date(2026, 1, 1)
    catchup: bool = False
    night_lag_days: int = Field(1, ge=0, description="a run at 02:00 scores yesterday's folder")
    model: str = Field("", pattern=r"^[^/:@]*$", description="registered model; default: nightglass-<name>")
    slices: str | None = Field(
        None, description="regular expression with named groups, searched in an image's path: each group is a slice"
    )
    ready: Ready = Ready()
    detector: DetectorOptions = DetectorOptions()
    scoring: Scoring = Scoring()
    validation: Validation = Validation()
    drift: Drift = Drift()
    decision: DecisionOptions = DecisionOptions()
    retraining: Retraining = Retraining()
    alerts: Alerts = Alerts()
    retention: Retention = Retention()

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not NAME_PATTERN.fullmatch(value):
            raise ValueError("expected lower-case letters, digits, '-' and '_', at most 63")
        return value

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("expected an IANA time zone such as Europe/Berlin") from error
        return value

    @field_validator("slices")
    @classmethod
    def _check_slices(cls, value: str | None) -> str | None:
        try:
            if value is not None and not re.compile(value).groupindex:
                raise ValueError("expected a named group such as (?P<camera>[^/]+)")
        except re.error as error:
            raise ValueError(f"expected a regular expression ({error})") from error
        return value

    @field_validator("suffixes")
    @classmethod
    def _lower_suffixes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not suffix.startswith(".") for suffix in value):
            raise ValueError("expected suffixes that start with a dot, such as .jpg")
        return tuple(suffix.lower() for suffix in value)

    @model_validator(mode="after")
    def _check_images(self) -> "Collection":
        if self.schedule and "{night}" not in self.images:
            raise ValueError("images: expected {night} in the address of a scheduled collection")
        return self

    @model_validator(mode="after")
    def _check_deadline(self) -> "Collection":
        self.alerts.publish_within(self.schedule)
        return self

    @property
    def model_name(self) -> str:
        """Name of the registered model."""
        return self.model or f"nightglass-{self.name}"

    def night_url(self, night: str) -> str:
        """Return the address of the images of ``night`` (``YYYY-MM-DD``), with ``${NIGHTGLASS_HOME}`` filled in."""
        return _fill_home(self.images).replace("{night}", night)

    @property
    def images_root(self) -> str:
        """The folder that all of its nights lie in, with ``${NIGHTGLASS_HOME}`` filled in; "" where there is none."""
        before, found, _ = _fill_home(self.images).partition("{night}")
        return before.rpartition("/")[0] if found else before

    @property
    def golden_url(self) -> str | None:
        """The address of the golden set's images, None where there is none."""
        golden = self.retraining.golden
        return _fill_home(golden.images) if golden else None


def _fill_home(address: str) -> str:
    return address.replace("${NIGHTGLASS_HOME}", str(read_settings().home))


def default_collection(name: str = "adhoc") -> Collection:
    """Return a collection with every default, for commands that are given a folder only."""
    return Collection(name=name, images="{night}", schedule=None)


def read_collection(path: Path) -> Collection:
    """Read one collection's YAML file; its name defaults to the file's stem.

    Raises:
        ConfigurationError: The file is missing, is no YAML mapping, or holds a key twice or a wrong key or value.
    """
    raw = read_mapping(path)
    raw.setdefault("name", path.stem)
    try:
        return Collection.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise ConfigurationError(f"{path}: {problems}") from error


def find_collection_files(folder: Path) -> list[Path]:
    """Return the collection files of ``folder`` in name order; hidden files are left out."""
    return sorted(path for path in folder.glob("*.y*ml") if not path.name.startswith("."))


def _describe(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = list(_known_keys(Collection, problem["loc"][:-1]))
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return f"unknown key '{where}'" + (f", did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}")
    if problem["type"] == "missing":
        return f"missing key '{where}'"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where + ': ' if where else ''}{message}, got {problem['input']!r}"[:400]


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterator[str]:
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return
        model = annotation
    yield from model.model_fields
