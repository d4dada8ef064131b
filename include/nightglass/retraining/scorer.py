"""One model of an evaluation: its network opened once, its scores of files and of drawn pixels."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nightglass.collections import Collection
from nightglass.detector.backends import Images
from nightglass.detector.detector import Detector
from nightglass.engine.pipeline import EmbeddedBatch, Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.engine.threads import start_workers
from nightglass.images.reading import ImageRow
from nightglass.retraining.drawn import resize
from nightglass.storage import Folder, Folders

Doubles = NDArray[np.float64]
_BATCH = 32


class Scorer:
    """Scores images with one detector.

    Args:
        detector: The model.
        collection: How its images are read, and where its network runs.
        workers: Threads.

    Raises:
        ModelError: The network cannot be loaded.
    """

    def __init__(self, detector: Detector, collection: Collection, workers: int) -> None:
        self._detector = detector
        self._collection = collection
        self._workers = workers
        self._backend = detector.open_backend(workers, collection.scoring.device)

    @property
    def image_size(self) -> int:
        """Side of the network's input, pixels."""
        return self._detector.options.backbone.image_size

    @property
    def threshold(self) -> float:
        """The image threshold."""
        return self._detector.calibration.image_threshold

    def score_files(
        self, images: Folder | Folders, rows: list[ImageRow], keep: set[str]
    ) -> tuple[dict[str, float], dict[str, Images]]:
        """Score files in one pass.

        Args:
            images: What opens them.
            rows: Which ones.
            keep: Paths whose pixels ``(S, S, 3)`` are kept.

        Returns:
            Image scores and kept pixels by path; a file that cannot be read has neither.
        """

        def score(batch: EmbeddedBatch) -> tuple[dict[str, float], dict[str, Images]]:
            if not batch.rows:
                return {}, {}
            image_score = self._detector.score(batch.embedded).image_score
            paths = [row.path for row in batch.rows]
            kept = {path: image.copy() for path, image in zip(paths, batch.pixels, strict=True) if path in keep}
            return dict(zip(paths, map(float, image_score), strict=True)), kept

        scores: dict[str, float] = {}
        pixels: dict[str, Images] = {}
        options = self._collection.scoring
        with Pipeline(
            images, self._backend, self.image_size, options, workers=self._workers, times=StageTimes()
        ) as pipeline:
            for some_scores, some_pixels in pipeline.embed(rows, score):
                scores |= some_scores
                pixels |= some_pixels
        return scores, pixels

    def score_pixels(self, images: Images) -> Doubles:
        """Return the image scores ``(N,)`` of ``images (N, S, S, 3)``, whose side may be another than the network's."""

        def score(start: int) -> Doubles:
            part = resize(images[start : start + _BATCH], self.image_size)
            return self._detector.score(self._backend.embed(part)).image_score

        with threadpool_limits(1, "blas"), start_workers(self._workers, "drawn") as pool:
            return np.concatenate(list(pool.map(score, range(0, len(images), _BATCH))))
