import numpy as np
import pytest
from numpy.typing import NDArray

from nightglass.images.statistics import STATISTICS, measure_statistics


def measure_as_written(image: NDArray[np.uint8]) -> list[float]:
    """The definitions, word for word, in floats."""
    red, green, blue = image.astype(np.float64).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    places = np.lib.stride_tricks.sliding_window_view(luma, (3, 3))
    edges = (places * [[0, 1, 0], [1, -4, 1], [0, 1, 0]]).sum((2, 3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    offset = np.hypot(red_green.mean(), yellow_blue.mean())
    return [luma.mean(), luma.std(), edges.std(), spread + 0.3 * offset]


def draw(kind: str, side: int = 96) -> NDArray[np.uint8]:
    random = np.random.default_rng(3)
    if kind == "flat":
        return np.full((side, side, 3), 201, np.uint8)
    if kind == "grey":
        return random.integers(0, 256, (side, side, 1), dtype=np.uint8).repeat(3, axis=2)
    if kind == "almost grey":
        image = draw("grey", side)
        image[-1, -1, 2] ^= 255
        return image
    if kind == "bright":  # little spread far from 0: where sums of squares would cancel in floats
        return random.integers(253, 256, (side, side, 3), dtype=np.uint8)
    return random.integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["flat", "grey", "almost grey", "bright", "colour"])
@pytest.mark.parametrize("side", [3, 96, 1024])
def test_statistics_are_what_their_definitions_say(kind: str, side: int) -> None:
    image = draw(kind, side)
    found = measure_statistics(image)
    assert found == pytest.approx(measure_as_written(image), rel=1e-5, abs=1e-4)


def test_a_grey_image_of_one_channel_is_that_of_three() -> None:
    image = draw("grey")
    assert measure_statistics(image[..., 0]) == measure_statistics(image)


@pytest.mark.parametrize("level", [0, 1, 201, 255])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_flat_image_has_exactly_no_contrast(level: int, channels: tuple[int, ...]) -> None:
    image = np.full((1024, 1024, *channels), level, np.uint8)
    if channels:
        image[..., 2] = 7
    _, contrast, sharpness, _ = measure_statistics(image)
    assert (contrast, sharpness) == (0, 0)


def test_statistics_mean_what_their_names_say() -> None:
    noisy = np.random.default_rng(0).integers(0, 255, (224, 224, 1), dtype=np.uint8).repeat(3, axis=2)
    soft = np.linspace(0, 255, 224).astype(np.uint8)[None, :, None].repeat(224, axis=0).repeat(3, axis=2)
    red = np.zeros((224, 224, 3), np.uint8)
    red[..., 0] = 200
    rows = np.array([measure_statistics(image) for image in (draw("flat", 224), noisy, soft, red)])
    found = {name: rows[:, i] for i, name in enumerate(STATISTICS)}
    assert found["brightness"][0] == 201
    assert found["brightness"][3] == pytest.approx(0.299 * 200)
    assert found["contrast"][0] == 0
    assert found["sharpness"][1] > 20 * found["sharpness"][2]
    assert found["colourfulness"][:3] == pytest.approx([0, 0, 0])
    assert found["colourfulness"][3] == pytest.approx(0.3 * np.hypot(200, 100), rel=0.01)  # Hasler & Süsstrunk
