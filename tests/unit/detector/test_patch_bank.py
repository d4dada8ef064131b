import numpy as np
import pytest
from numpy.typing import NDArray

from nightglass.detector.patch_bank import PatchBank, PatchSample, build_patch_bank, mean_of_largest

Floats = NDArray[np.float32]


def _images(count: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, 6, 10, 10)).astype(np.float32)


def _fit(images: Floats, size: int) -> tuple[PatchBank, Floats]:
    places = images.transpose(0, 2, 3, 1).reshape(-1, 6)
    owners = np.repeat(np.arange(len(images)), 100)
    held_out = {number: image.astype(np.float16) for number, image in enumerate(images)}
    return build_patch_bank(PatchSample(places, owners), size, held_out, 0.05, 0)


@pytest.mark.parametrize("size", [1000, 3000])  # searched exactly, and in lists
def test_held_out_images_look_like_new_good_ones(size: int) -> None:
    bank, held_out = _fit(_images(40, 0), size)
    new = bank.image_distances(_images(40, 1))
    assert np.mean(held_out) == pytest.approx(np.mean(new), rel=0.05)


def _mixed_images(count: int, random: np.random.Generator) -> Floats:
    """Places of three kinds that are more or less alike, as background, texture and border are."""
    centers = np.random.default_rng(0).normal(size=(3, 16)) * 3
    kinds = random.integers(0, 3, (count, 12, 12))
    spread = np.array([0.2, 1.0, 2.0])[kinds][..., None]
    offsets = random.normal(size=(count, 1, 1, 16)) * 0.3
    places = centers[kinds] + offsets + spread * random.normal(size=(count, 12, 12, 16))
    return places.transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize("count", [40, 300])
def test_a_threshold_on_held_out_images_keeps_its_rate_on_new_ones(count: int) -> None:
    random = np.random.default_rng(1)
    images, new = _mixed_images(count, random), _mixed_images(600, random)
    places = images.transpose(0, 2, 3, 1).reshape(-1, 16)
    owners = np.repeat(np.arange(count), 144)
    held_out = {number: image.astype(np.float16) for number, image in enumerate(images)}
    bank, distances = build_patch_bank(PatchSample(places, owners), 10_000, held_out, 0.05, 0)
    alarms = (bank.image_distances(new) > np.quantile(distances, 0.9)).mean()
    # Of 600 images 0.1 comes with a deviation of 0.012, and the quantile of 40 with one of 0.05.
    assert 0.02 < alarms < 0.2


def test_a_map_is_above_one_where_the_odd_place_is_and_hardly_anywhere_else() -> None:
    bank, _ = _fit(_images(40, 0), 3000)
    image = _images(1, 2)[0]
    image[:, 3, 7] += 6
    (found,) = bank.anomaly_maps(image[None])
    assert found.shape == (10, 10)
    assert np.unravel_index(found.argmax(), found.shape) == (3, 7)
    assert found[3, 7] > 1
    assert (found > 1).sum() <= 2


def test_the_patch_level_distance_is_the_mean_of_the_most_unusual_twentieth() -> None:
    distances = np.zeros((2, 20), np.float32)
    distances[1, 3:8] = [1, 2, 3, 4, 5]
    assert mean_of_largest(distances, 100).tolist() == [0.0, 3.0]


@pytest.mark.parametrize("size", [1000, 3000])
def test_looking_closely_at_few_of_the_places_finds_the_most_unusual(size: int) -> None:
    bank, _ = _fit(_images(40, 0), size)
    new = _images(20, 7)
    new[:, :, 4, 4:6] += np.linspace(1, 5, 20, dtype=np.float32)[:, None, None]
    every = mean_of_largest(bank.distances(new).reshape(20, 100), 100)
    np.testing.assert_allclose(bank.image_distances(new), every, rtol=0.05)
    np.testing.assert_allclose(bank.image_distances(new)[10:], every[10:], rtol=0.02)


def test_the_same_places_give_the_same_bank() -> None:
    first, second = _fit(_images(40, 0), 3000), _fit(_images(40, 0), 3000)
    new = _images(3, 5)
    np.testing.assert_array_equal(first[0].distances(new), second[0].distances(new))
    np.testing.assert_array_equal(first[1], second[1])
