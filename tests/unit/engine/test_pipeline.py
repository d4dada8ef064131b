"""How batches are cut, which part each is of, and what becomes of a network that is still being loaded."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nightglass.collections import Scoring
from nightglass.detector.backends import Embedded, LoadingBackend
from nightglass.engine.pipeline import Pipeline
from nightglass.engine.stage_times import StageTimes
from nightglass.errors import ModelError
from nightglass.images.manifest import build_manifest
from nightglass.images.reading import ImageRow
from nightglass.storage import open_folder
from tests.conftest import write_panels

SIDE = 32


class Brightness:
    """A network of one output: the mean of the pixels."""

    name = "brightness"

    def embed(self, images: np.ndarray) -> Embedded:
        mean = images.mean((1, 2, 3), dtype=np.float32)[:, None]
        return Embedded(mean, mean[:, :, None, None])


@pytest.fixture(scope="module")
def rows_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ImageRow]]:
    folder = write_panels(tmp_path_factory.mktemp("images"), range(150))
    manifest = build_manifest(open_folder(str(folder)), (".png",), Scoring(), workers=2)
    return folder, manifest.image_rows()


def open_pipeline(folder: Path, backend: object = None, times: StageTimes | None = None, workers: int = 2) -> Pipeline:
    return Pipeline(
        open_folder(str(folder)), backend or Brightness(), SIDE, Scoring(), workers=workers, times=times or StageTimes()
    )


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize(
    ("images", "batches"), [(1, [1]), (24, [8, 8, 8]), (150, [32, 32, 24, 16, 16, 8, 8, 8, 6]), (0, [])]
)
def test_batches_become_smaller_towards_the_end(rows_in, workers, images, batches):
    folder, rows = rows_in
    with open_pipeline(folder, workers=workers) as pipeline:
        assert [len(batch.rows) for batch in pipeline.embed(rows[:images])] == batches


def test_parts_come_in_order_and_share_no_batch(rows_in):
    folder, rows = rows_in
    parts = [rows[:40], [], rows[40:41], rows[41:]]
    with open_pipeline(folder) as pipeline:
        found: list[list[ImageRow]] = [[]]
        for batch in pipeline.embed_parts(parts):
            if batch is None:
                found.append([])
            else:
                found[-1].extend(batch.rows)
    assert found == [*parts, []]


def test_a_next_part_is_begun_while_the_last_one_waits_to_be_written(rows_in):
    folder, rows = rows_in
    begun = threading.Event()

    def parts():
        yield rows[:8]
        begun.set()
        yield rows[8:16]

    with open_pipeline(folder) as pipeline:
        next(iter(pipeline.embed_parts(parts())))
        assert begun.is_set()


def test_images_are_decoded_while_the_network_is_loaded_and_its_time_is_no_images(rows_in):
    folder, rows = rows_in
    times = StageTimes()

    def load():
        deadline = time.monotonic() + 30
        while "decode" not in times.seconds():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(1.0)
        return Brightness()

    backend = LoadingBackend(load)
    with open_pipeline(folder, backend, times) as pipeline:
        done = list(pipeline.embed(rows[:16]))
    assert [len(batch.rows) for batch in done] == [8, 8]
    assert backend.name == "brightness"
    assert sum(seconds * images for seconds, images in times.take_batches()) < 1.0


def test_what_loading_raised_ends_the_run(rows_in):
    folder, rows = rows_in

    def load():
        raise ModelError("no network")

    with open_pipeline(folder, LoadingBackend(load)) as pipeline, pytest.raises(ModelError, match="no network"):
        list(pipeline.embed(rows))
