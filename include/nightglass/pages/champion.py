"""The champion of a collection, kept warm: what looks at one image at a time for the pages and the API."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from nightglass.collections import Collection, Scoring
from nightglass.images.quarantine import QuarantinedError, QuarantineReason
from nightglass.pages.kept_models import KeptModels, LoadedModel, Workers, large_alone
from nightglass.pages.places import open_store
from nightglass.settings import read_settings

if TYPE_CHECKING:
    from nightglass.detector.detector import Detector, Scores

#: Longest side of an anomaly map, pixels: that of the pictures which the engine stores.
SHOWN_SIDE = 768
#: Grey level of 1.0 in a stored anomaly map, as in those of the engine.
_MAP_UNIT = 128


@dataclass(frozen=True)
class NearGoodImage:
    """A good image of the memory bank near to the one looked at; ``thumbnail`` is a JPEG."""

    path: str
    distance: float
    thumbnail: bytes


@dataclass(frozen=True)
class Look:
    """What the champion says of one image.

    ``projected (128,)`` float32 lies in the night's index space and has length 1. ``anomaly_map (H, W)`` float32 has
    the proportions of the upright picture, its longest side at most 768 pixels; 1.0 is as unusual as good images hardly
    ever get. It is None where none was asked for. ``width`` and ``height`` are the upright file's own, in pixels.
    """

    image_score: float
    is_anomalous: bool
    image_threshold: float
    projected: NDArray[np.float32]
    anomaly_map: NDArray[np.float32] | None
    neighbors: Sequence[NearGoodImage]
    version: str
    sha256: str
    width: int
    height: int
    seconds: float


class KeptChampion:
    """A loaded champion with its network; several threads may look at images at once."""

    def __init__(self, model: LoadedModel, options: Scoring, workers: Workers) -> None:
        self.version = model.version
        self.model_name = model.name
        self.number = model.number
        self._model = model
        self._options = options
        self._workers = workers

    def look_at(self, data: bytes, name: str, *, with_map: bool = False) -> Look:
        """Score the bytes of one image, by the same code as a night.

        Args:
            data: The file.
            name: What it is called; where it is empty no suffix is checked.
            with_map: Also compute the anomaly map.

        Raises:
            QuarantinedError: It is no image that a night would score; the caller answers 422.
            HTTPException: 503 with Retry-After: too many are waiting.
        """
        return self._workers.run(lambda: self._look(data, name, with_map=with_map))

    def _look(self, data: bytes, name: str, *, with_map: bool) -> Look:
        # Here and not above: every process of Airflow loads the pages' module, one of them looks at images.
        from nightglass.engine.top_anomalies import upsample_map
        from nightglass.images.decoding import ImageLimits, decode_rgb, read_header

        start = time.perf_counter()
        options, detector = self._options, self._model.detector
        if len(data) > options.max_file_bytes:
            raise QuarantinedError(QuarantineReason.TOO_LARGE_FILE, f"more than {options.max_file_bytes} bytes")
        limits = ImageLimits(options.max_pixels, bool(name) and options.suffix_mismatch == "quarantine")
        facts = read_header(data, name, limits)
        with large_alone(facts.width * facts.height):
            pixels = decode_rgb(data, name, limits, detector.options.backbone.image_size)
        embedded = self._model.backend.embed(pixels[None])
        scores = detector.score(embedded)
        anomaly_map = None
        if with_map:
            size = shown_size(facts.width, facts.height, SHOWN_SIDE)
            anomaly_map = upsample_map(detector.patch_bank.anomaly_maps(embedded.patches)[0], size)
        return Look(
            image_score=float(scores.image_score[0]),
            is_anomalous=bool(scores.is_anomalous[0]),
            image_threshold=detector.calibration.image_threshold,
            projected=scores.projected[0],
            anomaly_map=anomaly_map,
            neighbors=_find_neighbors(detector, scores),
            version=self.version,
            sha256=hashlib.sha256(data).hexdigest(),
            width=facts.width,
            height=facts.height,
            seconds=time.perf_counter() - start,
        )


def kept_champion(request: Request, collection: Collection) -> KeptChampion:
    """Return the champion of ``collection``, loaded with its first request and when another was promoted.

    Raises:
        HTTPException: 409: the collection has no champion yet; 503 with Retry-After: too many wait for one to load.
        NightglassError: The registry does not answer, or does not have the champion.
    """
    settings = read_settings()
    with open_store(settings) as store:
        history = store.promotions_of_model(collection.model_name)
        if not history:
            mend = "fit a detector on good images with `nightglass fit … --register`"
            raise HTTPException(409, f"{collection.name}: expected a champion, got none yet; {mend}")
        kept: KeptModels = request.app.state.kept_models
        model = kept.find(collection, history[0], settings, store)
    return KeptChampion(model, collection.scoring, kept.workers(settings))


def shown_size(width: int, height: int, longest_side: int) -> tuple[int, int]:
    """Return width and height of the picture that is shown of an image, its proportions kept, in pixels."""
    scale = min(1.0, longest_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def grey_map(anomaly_map: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map ``(H, W)`` in the grey levels of the stored ones: 128 is as unusual as good images hardly get."""
    return np.clip(anomaly_map * _MAP_UNIT, 0, 255).astype(np.uint8)


def _find_neighbors(detector: "Detector", scores: "Scores") -> list[NearGoodImage]:
    thumbnails = detector.bank_images["thumbnail"]
    found = zip(scores.nearest_rows[0].tolist(), scores.nearest_distances[0].tolist(), strict=True)
    return [NearGoodImage(detector.bank_paths[row], distance, thumbnails[row].as_py()) for row, distance in found]
