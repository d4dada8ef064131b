"""Parts of a collection's file: the limits that a night's data, drift and decision are held to."""

from typing import Literal

from pydantic import Field, model_validator

from nightglass.collection_parts import Section, Share

Severity = Literal["critical", "warning"]


def _check_order(names: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"{names}: expected the lower number first, got {low:g} and {high:g}")


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
