"""The detector as an MLflow model: ``mlflow.pyfunc.load_model("models:/NAME@champion").predict(frame)``.

MLflow calls ``_load_pyfunc`` by this module's name; no pickle is stored or executed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightglass.collections import Scoring
from nightglass.detector.files import load_detector
from nightglass.images.decoding import decode_rgb, let_limits_decide
from nightglass.images.quarantine import QuarantinedError
from nightglass.images.reading import limits_of

_BATCH = 16


class DetectorModel:
    """Scores images given as bytes."""

    def __init__(self, folder: Path) -> None:
        let_limits_decide()
        self.detector = load_detector(folder)
        self._backend = self.detector.open_backend(1)
        self._options = Scoring(suffix_mismatch="accept")

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Score the column ``image`` (encoded image files as bytes).

        Returns:
            ``image_score`` (double), ``is_anomalous`` (bool) and ``reason`` (why an image has no score, else None),
            one row an image.
        """
        frames = [
            self._predict_batch(list(model_input["image"].iloc[start : start + _BATCH]))
            for start in range(0, len(model_input), _BATCH)
        ]
        return pd.concat(frames, ignore_index=True) if frames else _frame([], [], [])

    def _predict_batch(self, files: list[bytes]) -> pd.DataFrame:
        size = self.detector.options.backbone.image_size
        pixels = []
        reasons: list[str | None] = []
        for data in files:
            try:
                pixels.append(decode_rgb(bytes(data), "image", limits_of(self._options), size))
                reasons.append(None)
            except QuarantinedError as error:
                reasons.append(str(error))
        scores = np.full(len(files), np.nan)
        if pixels:
            scored = self.detector.score(self._backend.embed(np.stack(pixels))).image_score
            scores[[reason is None for reason in reasons]] = scored
        threshold = self.detector.calibration.image_threshold
        return _frame(scores.tolist(), [bool(score >= threshold) for score in scores], reasons)


def _frame(scores: list[float], is_anomalous: list[bool], reasons: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"image_score": scores, "is_anomalous": is_anomalous, "reason": reasons})


def _load_pyfunc(data_path: str) -> DetectorModel:
    return DetectorModel(Path(data_path))
