"""The images that a detector is fitted on, and what one pass over them leaves."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.detector.label_head import pool_features
from nightglass.detector.label_head_fit import HeadImages
from nightglass.engine.pipeline import EmbeddedBatch, Pipeline
from nightglass.engine.top_anomalies import make_thumbnail
from nightglass.errors import InputError, ModelError
from nightglass.images.labels import Label
from nightglass.images.manifest import Manifest
from nightglass.images.reading import ImageRow

Floats = NDArray[np.float32]
Progress = Callable[[int], None]
MIN_GOOD_IMAGES = 10
_CALIBRATION_IMAGES = 2000
_PLACES_LOOKED_AT = 20_000  # that the patch bank's places are chosen from
_THUMBNAIL_SIDE = 128


@dataclass(frozen=True)
class TrainingImages:
    """Good images and labelled defects, each content once; ``called_normal`` has the sha256 of those labelled normal.

    An image without a label is taken to be good.
    """

    good: list[ImageRow]
    defects: list[ImageRow]
    called_normal: frozenset[str]

    @classmethod
    def sort(cls, rows: Iterable[ImageRow], labels: Mapping[str, Label]) -> "TrainingImages":
        """Sort images by the labels of their paths; a label holds for every copy of the content.

        Raises:
            InputError: Two copies of one content have different labels.
        """
        unique: dict[str, ImageRow] = {}
        labelled: dict[str, ImageRow] = {}
        for row in rows:
            unique.setdefault(row.sha256, row)
            if row.path not in labels:
                continue
            known = labelled.setdefault(row.sha256, row)
            if labels[known.path] != labels[row.path]:
                raise InputError(
                    f"labels: expected one label for one picture, got {labels[known.path]} for {known.path!r} and "
                    f"{labels[row.path]} for {row.path!r}, which is the same file"
                )
        verdicts = {sha256: labels[row.path] for sha256, row in labelled.items()}
        return cls(
            good=[row for row in unique.values() if verdicts.get(row.sha256) != "defect"],
            defects=[row for row in unique.values() if verdicts.get(row.sha256) == "defect"],
            called_normal=frozenset(sha256 for sha256, verdict in verdicts.items() if verdict == "normal"),
        )


@dataclass
class GoodImages:
    """What one pass over the good images leaves.

    ``held_out`` and ``features`` are, by row, of the images that are compared with the others only: a random choice,
    and those that an analyst called normal. Those of the choice that calibrate are ``is_drawn``, in the same order.
    """

    rows: list[ImageRow] = field(default_factory=list)
    embeddings: list[Floats] = field(default_factory=list)
    features: dict[int, Floats] = field(default_factory=dict)
    statistics: list[NDArray[np.float32]] = field(default_factory=list)
    places: list[Floats] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    held_out: dict[int, NDArray[np.float16]] = field(default_factory=dict)
    is_drawn: list[bool] = field(default_factory=list)
    thumbnails: list[bytes] = field(default_factory=list)
    quarantined: int = 0


@dataclass
class LabelledImages:
    """What one pass over the labelled defects leaves: a row of features and a good-only score for each."""

    features: list[Floats] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    quarantined: int = 0

    def as_head_images(self, normal: HeadImages) -> HeadImages:
        """Return them as the label head takes them, with features as wide as those of ``normal``."""
        features = np.array(self.features, np.float32).reshape(-1, normal.features.shape[1])
        return HeadImages(features, np.array(self.scores, np.float64))


def collect_good(
    pipeline: Pipeline,
    training: TrainingImages,
    manifest: Manifest,
    collection: Collection,
    progress: Progress | None = None,
    *,
    not_calibrating: AbstractSet[str] = frozenset(),
) -> GoodImages:
    """Embed the good images, at most as many as the memory bank holds; those that an analyst called normal come first.

    ``not_calibrating`` has the sha256 of those that the network was tuned on: they are held out, but never
    ``is_drawn``, as they look more usual to it than new images.

    Raises:
        ModelError: Too few of them can be decoded.
    """
    options = collection.detector
    found = GoodImages()
    random = np.random.default_rng(options.seed)
    needed = _choose_needed(training, options.max_bank_images, random)
    listed = manifest.table.filter(
        pc.is_in(manifest.table["path"], pa.array([row.path for row in needed], pa.string()))
    )
    sizes = {row["path"]: row for row in listed.select(["path", "width", "height"]).to_pylist()}
    drawn = {needed[i].path for i in choose_rows(random, len(needed), _CALIBRATION_IMAGES)}
    places_per_image = -(-max(_PLACES_LOOKED_AT, options.patch_bank_size) // len(needed))
    for batch in pipeline.embed(needed):
        found.quarantined += len(batch.quarantined)
        features = pool_features(batch.embedded.embedding, batch.embedded.patches) if batch.rows else None
        for i, row in enumerate(batch.rows):
            patches = batch.embedded.patches[i]
            number = len(found.rows)
            is_kept = row.path in drawn or (
                row.sha256 in training.called_normal and len(found.held_out) < 2 * _CALIBRATION_IMAGES
            )
            if features is not None and is_kept:
                found.is_drawn.append(row.path in drawn and row.sha256 not in not_calibrating)
                found.held_out[number] = patches.astype(np.float16)
                found.features[number] = features[i]
            places = patches.reshape(len(patches), -1)
            kept = random.permutation(places.shape[1])[:places_per_image]
            found.places.append(np.ascontiguousarray(places[:, kept].T))
            found.owners.extend([number] * len(kept))
            _keep_image(found, batch, i, (sizes[row.path]["width"], sizes[row.path]["height"]))
        if progress:
            progress(len(batch.rows) + len(batch.quarantined))
    if min(len(found.rows), sum(found.is_drawn)) < MIN_GOOD_IMAGES:
        raise ModelError(
            f"fit: expected at least {MIN_GOOD_IMAGES} good images that can be decoded, got {sum(found.is_drawn)}"
        )
    return found


def _choose_needed(training: TrainingImages, count: int, random: np.random.Generator) -> list[ImageRow]:
    is_called = [row.sha256 in training.called_normal for row in training.good]
    order = random.permutation(len(training.good))
    order = order[np.argsort(~np.array(is_called)[order], kind="stable")]
    return [training.good[i] for i in sorted(order[:count].tolist())]


def collect_labelled(
    pipeline: Pipeline, rows: list[ImageRow], detector: Detector, progress: Progress | None = None
) -> LabelledImages:
    """Score labelled defects with a detector that knows good images only."""
    found = LabelledImages()
    for batch in pipeline.embed(rows):
        found.quarantined += len(batch.quarantined)
        if batch.rows:
            found.features.extend(pool_features(batch.embedded.embedding, batch.embedded.patches))
            found.scores.extend(detector.score(batch.embedded).image_score.tolist())
        if progress:
            progress(len(batch.rows) + len(batch.quarantined))
    return found


def choose_rows(random: np.random.Generator, total: int, count: int) -> list[int]:
    """Return ``count`` of ``total`` row numbers, in order; all of them when there are fewer."""
    return sorted(random.permutation(total)[:count].tolist())


def _keep_image(found: GoodImages, batch: EmbeddedBatch, number: int, size: tuple[int, int]) -> None:
    found.rows.append(batch.rows[number])
    found.embeddings.append(batch.embedded.embedding[number].copy())
    found.statistics.append(batch.statistics[number].copy())
    found.thumbnails.append(make_thumbnail(batch.pixels[number], *size, _THUMBNAIL_SIDE))
