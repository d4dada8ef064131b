from pathlib import Path

import numpy as np

from nightglass.detector.memory_bank import MemoryBank, Standardization
from nightglass.detector.night_space import DIMENSIONS, new_index, project

RANDOM = np.random.default_rng(0)


def test_search_finds_the_nearest_by_brute_force() -> None:
    bank, queries = RANDOM.normal(size=(200, 32)).astype(np.float32), RANDOM.normal(size=(7, 32)).astype(np.float32)
    distances, rows = MemoryBank.build(bank).search(queries, 3)
    every = np.linalg.norm(queries[:, None] - bank[None], axis=2)
    assert (rows == np.argsort(every, axis=1)[:, :3]).all()
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :3], rtol=1e-4)


def test_search_others_never_compares_an_image_with_itself() -> None:
    bank = RANDOM.normal(size=(1500, 16)).astype(np.float32)
    bank[10] = bank[11]  # two equal contents are each other's neighbours
    others = MemoryBank.build(bank).search_others(2)
    every = np.linalg.norm(bank[:, None] - bank[None], axis=2)
    np.fill_diagonal(every, np.inf)
    np.testing.assert_allclose(others, np.sort(every, axis=1)[:, :2], atol=2e-3)
    assert others[10, 0] < 0.01
    assert (np.delete(others, [10, 11], axis=0)[:, 0] > 0.1).all()


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
        MemoryBank.load(tmp_path / "bank.faiss").search(query, 4)[0], bank.search(query, 4)[0]
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
