import numpy as np
import pytest

from nightglass.detector.calibration import calibrate
from nightglass.errors import ModelError


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
def test_new_good_images_reach_the_threshold_at_most_at_the_stated_rate(rate: float) -> None:
    random = np.random.default_rng(0)
    false_alarms = []
    for _ in range(200):
        calibration = calibrate(random.gamma(4.0, size=300).astype(np.float32), rate)
        new = calibration.score(random.gamma(4.0, size=1000).astype(np.float32))
        false_alarms.append((new >= calibration.image_threshold).mean())
    assert np.mean(false_alarms) == pytest.approx(rate, abs=0.25 * rate)
    assert np.mean(false_alarms) <= rate * 1.1


def test_too_few_images_for_the_rate_state_the_rate_they_support() -> None:
    calibration = calibrate(np.arange(20, dtype=np.float32), 0.01)
    assert calibration.false_alarm_rate == pytest.approx(1 / 21)
    assert not (calibration.score(np.arange(20, dtype=np.float32)) >= calibration.image_threshold).any()


def test_scores_are_zero_for_a_typical_image_and_keep_the_order() -> None:
    distances = np.random.default_rng(1).normal(10, 2, 1001).astype(np.float32)
    scores = calibrate(distances, 0.01).score(distances)
    assert np.median(scores) == pytest.approx(0, abs=1e-6)
    assert (np.argsort(scores) == np.argsort(distances)).all()


def test_images_that_are_all_alike_do_not_break_it() -> None:
    calibration = calibrate(np.full(50, 3.0, np.float32), 0.01)
    low, high = calibration.score(np.array([3.0, 3.1], np.float32))
    assert low < calibration.image_threshold < high


def test_one_image_is_too_few() -> None:
    with pytest.raises(ModelError, match="at least 2 good images, got 1"):
        calibrate(np.ones(1, np.float32), 0.01)
