import numpy as np
import pytest
from numpy.typing import NDArray

from nightglass.detector.calibration import Calibration, calibrate
from nightglass.errors import ModelError


def _distances(random: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    image, patch = random.gamma(4.0, size=(2, count)).astype(np.float32)
    return image, 10 + 3 * patch


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
def test_new_good_images_reach_the_threshold_at_most_at_the_stated_rate(rate: float) -> None:
    random = np.random.default_rng(0)
    false_alarms = []
    for _ in range(200):
        calibration = calibrate(*_distances(random, 300), rate)
        new = calibration.score(*_distances(random, 1000))
        false_alarms.append((new >= calibration.image_threshold).mean())
    assert np.mean(false_alarms) == pytest.approx(rate, abs=0.25 * rate)
    assert np.mean(false_alarms) <= rate * 1.1


def test_too_few_images_for_the_rate_state_the_rate_they_support() -> None:
    values = np.arange(20, dtype=np.float32)
    calibration = calibrate(values, values, 0.01)
    assert calibration.false_alarm_rate == pytest.approx(1 / 21)
    assert not (calibration.score(values, values) >= calibration.image_threshold).any()


def test_scores_are_zero_for_a_typical_image_and_each_distance_raises_them_alike() -> None:
    random = np.random.default_rng(1)
    image, patch = random.normal(10, 2, 1001).astype(np.float32), random.normal(500, 40, 1001).astype(np.float32)
    calibration = calibrate(image, patch, 0.01)
    middle = np.median(image, keepdims=True), np.median(patch, keepdims=True)
    assert calibration.score(*middle) == pytest.approx(0, abs=1e-6)
    by_image = calibration.score(middle[0] + 2, middle[1])
    by_patch = calibration.score(middle[0], middle[1] + 40)
    assert by_image == pytest.approx(by_patch, rel=0.15)


def test_images_that_are_all_alike_do_not_break_it() -> None:
    same = np.full(50, 3.0, np.float32)
    calibration: Calibration = calibrate(same, same, 0.01)
    low, high = calibration.score(np.array([3.0, 3.1], np.float32), np.array([3.0, 3.1], np.float32))
    assert low < calibration.image_threshold < high


def test_one_image_is_too_few() -> None:
    with pytest.raises(ModelError, match="at least 2 good images, got 1"):
        calibrate(np.ones(1, np.float32), np.ones(1, np.float32), 0.01)
