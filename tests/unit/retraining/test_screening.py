"""What lets an image into a training set."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nightglass.retraining.screening import UsualDistances, find_dense_group, is_typical, nearest_others, thin_out

Floats = NDArray[np.float32]


def scatter(center: Floats, spread: float, count: int, seed: int) -> Floats:
    """Draw vectors of length 1 around ``center``."""
    vectors = center + spread * np.random.default_rng(seed).normal(size=(count, len(center))) / np.sqrt(len(center))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def axis(number: int) -> Floats:
    return np.eye(128, dtype=np.float32)[number]


def test_a_new_kind_is_one_dense_group_and_scattered_defects_are_none() -> None:
    usual = UsualDistances.measure(scatter(axis(0), 0.5, 300, seed=1), seed=0)
    new_kind = scatter(axis(1), 0.3, 60, seed=2)
    defects = scatter(axis(2), 5, 60, seed=3)
    members = find_dense_group(np.concatenate([new_kind, defects]), usual, seed=0)
    assert members[:60].mean() > 0.9
    assert not members[60:].any()


def test_no_group_among_no_images() -> None:
    usual = UsualDistances(1.0, 1.0)
    assert not len(find_dense_group(np.empty((0, 128), np.float32), usual, seed=0))
    assert not find_dense_group(scatter(axis(0), 0.01, 3, seed=1), usual, seed=0).any()


def test_typical_images_are_told_from_a_contaminated_upper_half() -> None:
    random = np.random.default_rng(0)
    good, bad = random.normal(0, 1, 700), random.normal(5, 2, 300)
    typical = is_typical(np.concatenate([good, bad]))
    assert typical[:700].mean() > 0.75
    assert typical[700:].mean() < 0.05


def test_near_duplicates_are_kept_once_and_never_beside_a_known_image() -> None:
    images = scatter(axis(0), 0.5, 50, seed=1)
    usual = UsualDistances.measure(images, seed=0)
    copies = images[:10] + np.float32(1e-4)
    kept = thin_out(np.concatenate([images, copies]), images[40:], usual)
    assert kept[:40].all()
    assert not kept[40:].any()


def test_nearest_others_of_equal_vectors_are_each_other() -> None:
    vectors = np.stack([axis(0), axis(0), axis(1)])
    distances, rows = nearest_others(vectors, 1)
    assert rows[:2, 0].tolist() == [1, 0]
    assert distances[:2, 0] == pytest.approx([0, 0])
    assert distances[2, 0] == pytest.approx(np.sqrt(2))
