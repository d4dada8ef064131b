"""Do the parts of a detector fit each other? Files with the right checksums may still be of different detectors."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from nightglass.detector.detector import Detector
from nightglass.detector.label_head import LabelHead
from nightglass.detector.memory_bank import Floats, Standardization
from nightglass.detector.night_space import DIMENSIONS
from nightglass.errors import ModelError

_BANK_COLUMNS = {"path", "sha256", "thumbnail"}


def check_soundness(detector: Detector, folder: Path) -> None:
    """Check the shapes of all arrays against each other, and that what is divided by is positive.

    Raises:
        ModelError: One does not fit; what it is and what was expected.
    """
    images, embedding = len(detector.bank), len(detector.standardization.mean)
    places, channels = int(detector.patch_bank.index.ntotal), len(detector.patch_bank.standardization.mean)
    head = detector.label_head
    expected: list[tuple[str, object, object]] = [
        *_standardization("", detector.standardization, embedding),
        *_standardization("patch_", detector.patch_bank.standardization, channels),
        ("bank.faiss", (detector.bank.dimensions, images > 1), (embedding, True)),
        ("patch_bank.faiss", (_flat_dimensions(detector.patch_bank.index), places > 0), (channels, True)),
        ("spread", detector.bank.spread.shape, (images,)),
        ("patch_spread", detector.patch_bank.spread.shape, (places,)),
        ("bank_images.parquet", detector.bank_images.num_rows, images),
        ("bank_images.parquet", set(detector.bank_images.column_names) >= _BANK_COLUMNS, True),
        ("reference_embeddings", detector.reference.embeddings.shape[1:], (DIMENSIONS,)),
        ("spread above zero", _are_positive(detector.bank.spread), True),
        ("patch_spread above zero", _are_positive(detector.patch_bank.spread), True),
        *(_head(head, embedding // 3 + 2 * channels) if head else ()),
    ]
    for name, got, wanted in expected:
        if got != wanted:
            raise ModelError(f"{folder}: {name}: expected {wanted} as the other files have it, got {got}; fit it again")


def _standardization(prefix: str, found: Standardization, size: int) -> list[tuple[str, object, object]]:
    return [
        (f"{prefix}mean", found.mean.shape, (size,)),
        (f"{prefix}std", found.std.shape, (size,)),
        (f"{prefix}std above zero", bool((found.std > 0).all()), True),  # infinite: a dimension that is left out
    ]


def _head(head: LabelHead, features: int) -> list[tuple[str, object, object]]:
    return [
        *_standardization("label_head.", head.standardization, features),
        ("label_head.support", head.support.shape, (features, len(head.coefficients))),
        ("label_head.coefficients", head.coefficients.ndim, 1),
        ("label_head.spread above zero", head.spread > 0 and head.width > 0, True),
    ]


def _flat_dimensions(index: Any) -> int | None:  # noqa: ANN401  a faiss.Index; faiss has no complete types
    """Return the dimensions of an index that holds its vectors as they are, None for any other kind."""
    return int(index.d) if isinstance(index, faiss.IndexFlat | faiss.IndexIVFFlat) else None


def _are_positive(values: Floats) -> bool:
    return bool(np.isfinite(values).all() and (values > 0).all())
