"""What overlaps in a run: the network's loading with reading and decoding, a shard's writing with the next shard."""

from pathlib import Path

import pytest

from nightglass.detector.backends import Backend, LoadingBackend
from nightglass.engine.score import score_folder
from nightglass.errors import ModelError
from tests.conftest import write_panels
from tests.unit.engine.test_score import job


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_panels(tmp_path_factory.mktemp("night"), range(1000, 1030), defects=3)


def test_a_network_that_cannot_be_loaded_leaves_the_results_of_other_images(
    model: Path, night: Path, tmp_path: Path
) -> None:
    score_folder(job(model, night, tmp_path / "out"), lambda *_: None)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}

    def fail() -> Backend:
        raise ModelError("no network")

    other = job(model, write_panels(tmp_path / "other", range(5000, 5003)), tmp_path / "out")
    vars(other)["backend"] = LoadingBackend(fail)
    with pytest.raises(ModelError, match="no network"):
        score_folder(other, lambda *_: None)
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert after == before


def test_every_stage_is_counted_once_over_shards_that_overlap(model: Path, night: Path, tmp_path: Path) -> None:
    run = job(model, night, tmp_path / "out", shard_size=7)
    summary = score_folder(run, lambda *_: None)
    whole = run.times.seconds()
    assert summary["stage_seconds"] == pytest.approx({stage: whole[stage] for stage in summary["stage_seconds"]})
    assert {"load", "list", "read", "decode", "embed", "search", "write", "merge"} <= summary["stage_seconds"].keys()
