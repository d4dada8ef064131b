"""What decoding large JPEGs at a reduced scale does to their scores."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks import product
from benchmarks.common import bench_home
from benchmarks.data import copy_fully_decoded
from benchmarks.product import read_scores
from nightglass.models import find_model
from nightglass.settings import read_settings


def compare_decoding(images: Path, model: Path, collection: Path | None = None) -> dict[str, Any]:
    """Score large images, and the same decoded in full by Pillow, and return how far the scores are apart."""
    detector = find_model(str(model), read_settings()).detector
    full = copy_fully_decoded(images, detector.options.backbone.image_size)
    found = []
    for folder in (images, full):
        out = bench_home() / "scores/decoding"
        product.score(folder, model, out, collection=collection)
        found.append({Path(path).stem: score for path, score in read_scores(out).items()})
    reduced, whole = (np.array([scores[name] for name in sorted(found[0])]) for scores in found)
    threshold = detector.calibration.image_threshold
    return {
        "images": len(reduced),
        "largest_difference": float(np.abs(reduced - whole).max()),
        "mean_difference": float(np.abs(reduced - whole).mean()),
        "score_range": f"{whole.min():.3f} to {whole.max():.3f}",
        "rank_correlation": float(spearmanr(reduced, whole).statistic),
        "other_verdict": int(((reduced >= threshold) != (whole >= threshold)).sum()),
    }
