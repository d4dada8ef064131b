import pytest
from benchmarks.memory import bank_sizes, growth_rows


def test_growth_is_that_of_the_medians_against_the_smallest_folder():
    peaks = {1: (400e6, 390e6, 700e6), 10: (420e6,) * 3, 40: (440e6, 100e6, 432e6)}
    runs = [
        {"times": times, "images": 100 * times, "peak_bytes": peaks[times][number], "seconds": times}
        for number in range(3)
        for times in (40, 1, 10)
    ]
    base, middle, large = growth_rows(runs)
    assert (base["times"], base["peak_rss_mb"], base["ratio"], base["bytes_an_image"]) == (1, 400, 1.0, None)
    assert (middle["times"], middle["ratio"]) == (10, pytest.approx(1.05))
    assert (large["images"], large["peak_rss_mb"], large["ratio"]) == (4000, 432, pytest.approx(1.08))
    assert large["bytes_an_image"] == round(32e6 / 3900)


def test_each_bank_is_measured_once():
    assert bank_sizes([1_000, 20_000], [10_000, 500]) == [(1_000, 10_000), (20_000, 10_000), (1_000, 500)]
    assert bank_sizes([], []) == []
