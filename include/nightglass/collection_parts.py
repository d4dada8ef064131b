"""Parts of a collection's file: the base of all, and what belongs to retraining."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of every part of a collection's file: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Gates(Section):
    """What a challenger must meet to become the champion."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the intervals; an improvement needs one beyond zero")
    min_defects: int = Field(10, ge=2, description="labelled defects among the frozen images that AUROC needs")
    auroc_margin: Share = Field(0.02, description="a challenger's AUROC may be lower by no more")
    max_false_alarm_ratio: float = Field(2.0, ge=1, description="of the aimed rate, on held-out good images")
    min_slice_images: int = Field(30, ge=5, description="smaller slices are shown, not judged")
    slice_auroc_margin: Share = 0.05
    latency_ratio: float = Field(1.5, ge=1, description="challenger / champion, p50 and p95")
    memory_ratio: float = Field(1.5, ge=1)
    size_ratio: float = Field(2.0, ge=1)
    min_training_ratio: Share = Field(0.5, description="of the champion's training images")


class GoldenSet(Section):
    """Labelled images that no model is ever fitted on: what people trust a comparison on."""

    images: str = Field(min_length=1, description="folder or s3:// URL; ${NIGHTGLASS_HOME} is filled in")
    labels: str = Field("labels.csv", min_length=1, description="CSV path,label in that folder: defect or normal")


class ShadowOptions(Section):
    """How long a challenger that met every gate scores nights beside the champion before it may take its place."""

    nights: int = Field(0, ge=0, le=90, description="nights that both must have scored; 0: no shadow")
    max_days: float = Field(30, gt=0, le=365, description="fewer nights in so many days: rejected")


class Retraining(Section):
    """How a challenger is made from recent nights, and how it becomes the champion."""

    automatic: bool = Field(True, description="a night that asks for it starts it; false: only by hand")
    promotion: Literal["automatic", "approval"] = Field("approval", description="of a challenger that met every gate")
    approval_hours: float = Field(24, gt=0, description="nobody answers: rejected")
    adapt: Literal["none", "head", "finetune"] = Field(
        "head", description="none: good images only; head: learn from verdicts; finetune: tune the backbone too"
    )
    nights: int = Field(14, ge=1, description="most recent nights that images are taken from")
    max_night_share: Share = Field(0.4, description="of the training images, that one night may make up")
    max_slice_share: Share = Field(1.0, description="of the training images, that one slice may make up")
    evaluation_share: float = Field(0.3, gt=0, lt=1, description="of every night's images, its latest, are frozen")
    screen_rate: float = Field(
        0.1, gt=0, lt=1, description="new images that score like this share of good ones, or higher, stay out"
    )
    new_normal: Literal["ask", "admit"] = Field(
        "ask", description="a dense group of anomalous images that is a large part of a night: ask an analyst, or admit"
    )
    new_normal_share: Share = Field(0.2, description="of a night's images, that such a group makes up at least")
    golden: GoldenSet | None = Field(None, description="labelled images that both models are always measured on")
    shadow: ShadowOptions = ShadowOptions()
    gates: Gates = Gates()
