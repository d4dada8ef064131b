"""Seconds an image: what batches note, and what half and 95 % of the images stay below."""

import pytest

from nightglass.engine.stage_times import StageTimes, image_seconds
from tests.conftest import write_panels
from tests.unit.engine.test_score import score


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([], None),
        ([(0.2, 1)], {"p50": 0.2, "p95": 0.2}),
        ([(0.9, 1), (0.1, 99)], {"p50": 0.1, "p95": 0.1}),
        ([(0.9, 6), (0.1, 94)], {"p50": 0.1, "p95": 0.9}),
        # A batch of one counts for one image, not for as many as the full batches beside it.
        ([(5.0, 1), (0.1, 32), (0.2, 32)], {"p50": 0.2, "p95": 0.2}),
        ([(0.1, 10), (0.2, 10)], {"p50": 0.1, "p95": 0.2}),
    ],
)
def test_half_and_nearly_all_images_stay_below(batches, expected):
    assert image_seconds(batches) == expected


def test_a_batch_is_noted_once_as_seconds_an_image():
    times = StageTimes()
    times.note_batch(2.0, 4)
    assert times.take_batches() == [(0.5, 4)]
    assert times.take_batches() == []


def test_a_run_tells_what_an_image_takes(model, tmp_path):
    images = write_panels(tmp_path / "images", range(500, 513))
    summary = score(model, images, tmp_path / "out", shard_size=5)
    assert 0 < summary["image_seconds"]["p50"] <= summary["image_seconds"]["p95"] < 60
