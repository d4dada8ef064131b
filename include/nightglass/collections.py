"""A collection: a named image folder that gets a batch every night, described by one YAML file."""

import difflib
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from nightglass.collection_parts import Retraining, Section, Share
from nightglass.errors import ConfigurationError
from nightglass.settings import read_settings

Severity = Literal["critical", "warning"]
#: Of the network on a CPU; ``auto`` is bf16 where the processor has it and f32 elsewhere.
Precision = Literal["int8", "auto", "f32"]
Device = Literal["auto", "cpu", "cuda"]
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _check_order(names: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"{names}: expected the lower number first, got {low:g} and {high:g}")


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
    batch_size: int = Field(32, ge=1, le=512)
    device: Device = Field("auto", description="runs the network; auto: CUDA where torch finds it, but int8 on a CPU")
    max_pixels: int = Field(100_000_000, ge=1, description="larger images are quarantined, never decoded")
    max_file_bytes: int = Field(500_000_000, ge=1)
    suffix_mismatch: Literal["quarantine", "accept"] = "quarantine"
    pool: str = "nightglass_scoring"


class Validation(Section):
    """What a night's data must look like before it is scored; each limit has a severity."""

    min_images: int = Field(1, ge=0)
    min_images_severity: Severity = "critical"
    usual_count_ratio: tuple[float, float] = Field((0.5, 2.0), description="against the median of recent nights")
    usual_count_severity: Severity = "warning"
    formats: tuple[str, ...] = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP")
    formats_severity: Severity = "warning"
    modes: tuple[str, ...] = ("RGB", "L", "RGBA", "P", "LA", "CMYK", "I;16", "1")
    modes_severity: Severity = "warning"
    min_side_pixels: int = Field(32, ge=1)
    max_side_pixels: int = Field(20_000, ge=1)
    size_severity: Severity = "warning"
    brightness: tuple[float, float] = Field((5.0, 250.0), description="allowed mean luma of an image, 0..255")
    brightness_min_share: Share = Field(0.95, description="of the sampled images that must lie inside")
    brightness_severity: Severity = "warning"
    max_duplicate_share: Share = Field(0.2, description="images whose content another image of the night has")
    duplicate_severity: Severity = "warning"
    max_unreadable_share: Share = Field(0.1, description="images quarantined by their header or bytes")
    unreadable_severity: Severity = "critical"

    @model_validator(mode="after")
    def _check_ranges(self) -> "Validation":
        _check_order("usual_count_ratio", *self.usual_count_ratio)
        _check_order("brightness", *self.brightness)
        _check_order("min_side_pixels and max_side_pixels", self.min_side_pixels, self.max_side_pixels)
        return self


class Drift(Section):
    """How a night is compared with the champion's reference."""

    bins: int = Field(10, ge=2, le=50)
    watch_psi: float = Field(0.1, gt=0)
    retrain_psi: float = Field(0.2, gt=0)
    watch_separability: Share = Field(0.3, description="embedding drift: 2*AUC-1 of tonight against reference")
    retrain_separability: Share = 0.5
    sample_size: int = Field(500, ge=20, le=5000, description="images of each side in the embedding test")

    @model_validator(mode="after")
    def _check_limits(self) -> "Drift":
        _check_order("watch_psi and retrain_psi", self.watch_psi, self.retrain_psi)
        _check_order("watch_separability and retrain_separability", self.watch_separability, self.retrain_separability)
        return self


class DecisionOptions(Section):
    """When a night asks for a new model."""

    ratio: float = Field(2.0, gt=1, description="what counts as doubled")
    alpha: float = Field(0.001, gt=0, lt=1, description="significance that a doubling needs")
    watch_alpha: float = Field(0.01, gt=0, lt=1, description="significance of what is only watched")
    rate_spread: Share = Field(0.2, description="by how much nights' anomaly rates differ with nothing changed")
    min_images: int = Field(50, ge=1, description="fewer scored images decide nothing")
    baseline_nights: int = Field(14, ge=1, description="most recent quiet nights in the baseline; first ones, frozen")
    min_baseline_nights: int = Field(3, ge=1, description="until then the usual rate is being learned")
    expected_anomaly_rate: Share | None = Field(None, description="the usual rate, where people know it")
    cooldown_nights: int = Field(0, ge=0, description="nights after a promotion that only hold")
    max_quarantined_share: Share = Field(0.25, description="above it the night holds")

    @model_validator(mode="after")
    def _check_levels(self) -> "DecisionOptions":
        _check_order("alpha and watch_alpha", self.alpha, self.watch_alpha)
        return self


class Alerts(Section):
    """Who is told; the addresses themselves are secrets and stay out of this file."""

    connection: str | None = Field(None, description="Airflow connection whose URI or extra.urls is an Apprise URL")
    about: tuple[Literal["retrain", "hold", "watch", "failure"], ...] = ("retrain", "hold", "failure")


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

    @property
    def model_name(self) -> str:
        """Name of the registered model."""
        return self.model or f"nightglass-{self.name}"

    def night_url(self, night: str) -> str:
        """Return the address of the images of ``night`` (``YYYY-MM-DD``), with ``${NIGHTGLASS_HOME}`` filled in."""
        return _fill_home(self.images).replace("{night}", night)

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
        ConfigurationError: The file is missing, is no YAML mapping, or holds a wrong key or value.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a readable YAML file, got {error}") from error
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}: expected YAML, got a syntax error{where}") from error
    except (ValueError, RecursionError) as error:  # a date that is none, a file that is nested without end
        raise ConfigurationError(f"{path}: expected YAML, got {type(error).__name__}: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{path}: expected a mapping of settings, got {type(raw).__name__}")
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
