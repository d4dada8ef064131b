"""What a night cost: how long its tasks held a worker, and at which price."""

from pydantic import BaseModel, ConfigDict, ValidationError

from nightglass.engine.results import SUMMARY_NAME
from nightglass.errors import InputError
from nightglass.records import Record
from nightglass.settings import Settings
from nightglass.storage import Folder


class NightCost(Record):
    """Compute time of a night, and its price where one is set.

    ``compute_seconds`` counts every second that a task held a worker, from the listing to the merged scores; two tasks
    at once count twice. Validation, assessment and publishing, some seconds even of a large night, are not in it, nor
    is Airflow's own start of a task.
    """

    images: int
    compute_seconds: float
    price_per_hour: float | None  # of what runs one task
    currency: str

    @property
    def cost(self) -> float | None:
        """What that time costs, in ``currency``; None without a price."""
        return None if self.price_per_hour is None else self.compute_seconds / 3600 * self.price_per_hour

    @property
    def cost_per_1000_images(self) -> float | None:
        """The same per 1,000 images."""
        return None if self.cost is None or not self.images else self.cost * 1000 / self.images

    @property
    def compute_seconds_per_1000_images(self) -> float | None:
        """Compute time per 1,000 images; None where there is no image."""
        return self.compute_seconds * 1000 / self.images if self.images else None


class _Measured(BaseModel):
    """What is read of ``summary.json``."""

    model_config = ConfigDict(extra="ignore")

    images: int
    compute_seconds: float | None = None


def read_cost(source: Folder, settings: Settings) -> NightCost | None:
    """Return what the scores of a folder cost; None where there are none, or an older Nightglass wrote them.

    Raises:
        InputError: The summary is not what it should be.
    """
    if not source.exists(SUMMARY_NAME):
        return None
    try:
        summary = _Measured.model_validate_json(source.read_bytes(SUMMARY_NAME))
    except ValidationError as error:
        raise InputError(f"{source.url}/{SUMMARY_NAME}: {error.errors()[0]['msg']}") from error
    if summary.compute_seconds is None:
        return None
    return NightCost(
        images=summary.images,
        compute_seconds=summary.compute_seconds,
        price_per_hour=settings.price_per_hour,
        currency=settings.currency,
    )
