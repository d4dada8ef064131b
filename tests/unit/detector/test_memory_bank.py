from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.night_space import DIMENSIONS, new_index, project

Floats = NDArray[np.float32]
RANDOM = np.random.default_rng(0)


def _every_distance(queries: Floats, bank: Floats) -> Floats:
    distances: Floats = np.linalg.norm(queries[:, None] - bank[None], axis=2)
    return distances


def _spread(bank: Floats, without: int | None = None) -> Floats:
    """Mean distance of each bank image to its three nearest others, by brute force."""
    kept = [i for i in range(len(bank)) if i != without]
    every = _every_distance(bank, bank[kept])
    every[kept, np.arange(len(kept))] = np.inf
    spread: Floats = np.sort(every, axis=1)[:, :3].mean(axis=1)
    return spread


def test_search_finds_the_density_scaled_neighbours_by_brute_force() -> None:
    bank, queries = RANDOM.normal(size=(200, 32)).astype(np.float32), RANDOM.normal(size=(7, 32)).astype(np.float32)
    distances, rows = MemoryBank.build(bank).search(queries, 3)
    candidates = np.argsort(_every_distance(queries, bank), axis=1)[:, :10]
    scaled = np.take_along_axis(_every_distance(queries, bank) / np.sqrt(_spread(bank)), candidates, 1)
    order = np.argsort(scaled, axis=1)[:, :3]
    assert (rows == np.take_along_axis(candidates, order, 1)).all()
    np.testing.assert_allclose(distances, np.take_along_axis(scaled, order, 1), rtol=1e-4)


def test_the_same_distance_means_less_from_a_loose_kind_of_image() -> None:
    tight = RANDOM.normal(size=(50, 8)).astype(np.float32) * 0.1
    loose = RANDOM.normal(size=(50, 8)).astype(np.float32) + 100
    bank = MemoryBank.build(np.concatenate([tight, loose]))
    step = np.full((1, 8), 1.0, np.float32)
    assert bank.search(tight[:1] + step, 1)[0][0, 0] > 2 * bank.search(loose[:1] + step, 1)[0][0, 0]


def test_search_others_scores_every_image_as_if_it_were_not_in_the_bank() -> None:
    bank = RANDOM.normal(size=(60, 16)).astype(np.float32)
    others = MemoryBank.build(bank).search_others(2)
    for number in range(60):
        left = np.delete(bank, number, axis=0)
        distances = np.linalg.norm(left - bank[number], axis=1)
        nearest = np.argsort(distances)[:10]
        scaled = np.sort(distances[nearest] / np.sqrt(np.delete(_spread(bank, number), number)[nearest]))[:2]
        np.testing.assert_allclose(others[number], scaled, rtol=1e-3)


def test_equal_contents_neither_hide_each_other_nor_break_the_scale() -> None:
    bank = RANDOM.normal(size=(1500, 16)).astype(np.float32)
    bank[10] = bank[11]
    others = MemoryBank.build(bank).search_others(2)
    assert others[10, 0] < 0.01
    assert (np.delete(others, [10, 11], axis=0)[:, 0] > 0.1).all()
    assert np.isfinite(MemoryBank.build(np.ones((20, 4), np.float32)).search_others(3)).all()


def test_a_bank_smaller_than_the_number_of_neighbours_gives_what_it_has() -> None:
    bank = MemoryBank.build(np.eye(3, dtype=np.float32))
    assert bank.search(np.eye(3, dtype=np.float32), 10)[0].shape == (3, 3)
    assert bank.search_others(10).shape == (3, 2)


def test_constant_dimensions_do_not_count() -> None:
    values = RANDOM.normal(size=(50, 4)).astype(np.float32)
    values[:, 2] = 7.0
    standardized = Standardization.of(values).apply(values + np.array([0, 0, 5, 0], np.float32))
    assert (standardized[:, 2] == 0).all()
    assert np.isfinite(standardized).all()
    np.testing.assert_allclose(standardized[:, 0].std(), 1, rtol=1e-4)


def test_a_bank_survives_saving(tmp_path: Path) -> None:
    bank = MemoryBank.build(RANDOM.normal(size=(20, 8)).astype(np.float32))
    bank.save(tmp_path / "bank.faiss")
    query = RANDOM.normal(size=(3, 8)).astype(np.float32)
    np.testing.assert_array_equal(
        MemoryBank.load(tmp_path / "bank.faiss", bank.spread).search(query, 4)[0], bank.search(query, 4)[0]
    )


def test_projection_keeps_neighbours_and_length() -> None:
    centres = RANDOM.normal(size=(10, 960)).astype(np.float32)
    points = np.repeat(centres, 5, axis=0) + 0.3 * RANDOM.normal(size=(50, 960)).astype(np.float32)
    projected = project(points)
    assert projected.shape == (50, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, rtol=1e-5)
    index = new_index()
    index.add(projected)
    _, rows = index.search(projected, 5)
    assert (rows // 5 == np.arange(50)[:, None] // 5).all()
