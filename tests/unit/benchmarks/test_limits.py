import pytest
from benchmarks.limits import limit_images_per_second


def told(backend: str, decode_cpu: float, forward_cpu: float, forward_wall: float) -> dict[str, object]:
    return {
        "backend": backend,
        "workers": 4,
        "decode_cpu_seconds": decode_cpu,
        "forward_cpu_seconds": forward_cpu,
        "forward_wall_seconds": forward_wall,
    }


def test_on_a_cpu_decoding_and_the_network_share_the_cores():
    limit = limit_images_per_second(told("openvino-bf16", decode_cpu=0.002, forward_cpu=0.006, forward_wall=0.0015))
    assert limit == pytest.approx(4 / 0.008)


@pytest.mark.parametrize(
    ("decode_cpu", "forward_wall", "limit"),
    [(0.002, 0.0001, 2000), (0.002, 0.001, 1000)],
    ids=["decoding limits", "the device limits"],
)
def test_on_a_gpu_the_slower_of_the_two_limits(decode_cpu, forward_wall, limit):
    # What the processor does while it waits for the device takes no core from decoding.
    found = limit_images_per_second(told("torch-bf16-cuda", decode_cpu, 0.5, forward_wall))
    assert found == pytest.approx(limit)
