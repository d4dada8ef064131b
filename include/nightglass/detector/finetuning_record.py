"""What a fine-tuning of the backbone did, as the detector's description says it."""

from pydantic import BaseModel, ConfigDict


class Epoch(BaseModel):
    """One pass over the images; epoch 0 is the network as the collection's file names it.

    ``training_loss`` is the pass's mean (None before the first); ``held_out_auroc`` is that of the distance to the
    nearest good images, on good images and defects that the network is not tuned on. It is the mean of that on drawn
    defects and that on labelled ones (None where too few are labelled).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    training_loss: float | None
    held_out_auroc: float
    drawn_auroc: float
    labelled_auroc: float | None

    def metrics(self) -> dict[str, float]:
        """Return what was measured, by name."""
        return {f"finetuning_{name}": value for name, value in self.model_dump().items() if value is not None}


class Finetuning(BaseModel):
    """Parameters and course of a fine-tuning; the weights are those after ``best_epoch``.

    ``good_images`` and ``labelled_defects`` are what the weights learned from, with as many drawn defects as half of
    the good images in every epoch. ``arithmetic`` is what the tuned layers computed in: ``f32`` on a CPU, ``bf16``
    (with f32 weights) on CUDA.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stage: int
    good_images: int
    labelled_defects: int
    held_out_images: int
    learning_rate: float
    closeness: float
    max_epochs: int
    patience: int
    least_gain: float
    batch_images: int
    seed: int
    threads: int
    arithmetic: str
    best_epoch: int
    epochs: list[Epoch]

    def params(self) -> dict[str, object]:
        """Return everything but the course, by name."""
        return {f"finetuning_{name}": value for name, value in self.model_dump(exclude={"epochs"}).items()}
