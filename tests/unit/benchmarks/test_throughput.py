import pytest
from benchmarks.throughput import limit_row, system_row


def one_round(own: float, peer: float, limit: float) -> dict[str, dict[str, object]]:
    def figures(speed: float) -> dict[str, object]:
        common = {"cpu_ms_per_image": 1000 / speed, "peak_rss_mb": 1.0, "told": {"run_cpu_seconds": 2 * 100 / speed}}
        return {"images": 100, "images_per_second": speed, "whole_images_per_second": speed / 2, **common}

    limits = {"backend": "openvino-bf16", "decode_cpu_seconds": 0.5 / limit, "forward_cpu_seconds": 1.5 / limit}
    return {"nightglass": figures(own), "peer": figures(peer), "limits": limits | {"limit": limit}}


# The machine was busy in the second round and half as busy in the third: all of them were slower.
ROUNDS = [one_round(400, 100, 500), one_round(100, 20, 125), one_round(200, 80, 250)]


def test_ratios_are_taken_within_a_round():
    row = system_row("a peer", "peer", ROUNDS)
    assert row["images_per_second"] == 80
    assert row["ratio"] == 4  # the ratio of the medians would be 2.5
    assert row["whole_ratio"] == 4
    assert system_row("own", "nightglass", ROUNDS)["ratio"] == 1


def test_the_share_of_the_limit_is_taken_within_a_round():
    row = limit_row([ROUNDS[0], ROUNDS[1], one_round(200, 80, 1000)])
    assert row["limit"] == 500
    assert row["reached"] == 200
    assert row["share"] == pytest.approx(0.8)
    # 2 / limit seconds in decode and forward, of 2 / speed in all
    assert row["cpu_share"] == pytest.approx(0.8)
