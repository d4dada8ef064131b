"""The proof on real detectors: challengers made worse on purpose, each refused by the gate that should refuse it."""

import shutil
from pathlib import Path

import faiss
import pytest

from nightglass.collections import Collection
from nightglass.errors import InputError, ModelError
from nightglass.models import FoundModel
from nightglass.retraining import cost
from nightglass.storage import open_folder
from tests.unit.retraining.proving import (
    WORKERS,
    Frozen,
    evaluate_models,
    failed,
    find,
    fit,
    prove,
    small_collection,
    write_anew,
    write_images,
)

STAIN = 3  # grey levels: found often, not always


@pytest.fixture(scope="module")
def collection() -> Collection:
    return small_collection()


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("training"), range(80), range(900, 924), STAIN)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory, collection: Collection) -> Frozen:
    folder = write_images(tmp_path_factory.mktemp("frozen"), range(2000, 2120), range(3000, 3040), STAIN)
    return Frozen.of(folder, collection)


@pytest.fixture(scope="module")
def champion(training: Path, collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> FoundModel:
    return fit(training, tmp_path_factory.mktemp("models") / "1", collection)


@pytest.fixture
def few_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is not about time."""
    monkeypatch.setattr(cost, "_TIMED", 5)
    monkeypatch.setattr(cost, "_ROUNDS", 1)
    monkeypatch.setattr(cost, "_MOST_ROUNDS", 1)


def test_a_detector_against_itself_is_refused_by_the_improvement_gate_alone(
    frozen: Frozen, champion: FoundModel, collection: Collection
) -> None:
    report = prove(frozen, champion, champion, collection)
    assert failed(report) == {"improvement"}, report.sentence


@pytest.mark.usefixtures("few_timings")
def test_few_training_images_are_refused(
    frozen: Frozen, champion: FoundModel, training: Path, collection: Collection, tmp_path: Path
) -> None:
    few = fit(training, tmp_path / "few", collection, at_most=44)  # 24 defects and 20 good ones
    assert {"training", "improvement"} <= failed(prove(frozen, champion, few, collection))


@pytest.mark.usefixtures("few_timings")
def test_wrong_labels_are_refused_by_what_analysts_called(
    frozen: Frozen, champion: FoundModel, training: Path, collection: Collection, tmp_path: Path
) -> None:
    def swap(path: str) -> str | None:
        return "normal" if "bad" in path else "defect" if int(path[-9:-4]) % 3 == 0 else None

    report = prove(frozen, champion, fit(training, tmp_path / "wrong", collection, swap), collection)
    assert {"labels", "improvement"} <= failed(report)
    assert "ranks labelled defects" in report.sentence


@pytest.mark.usefixtures("few_timings")
def test_a_damaged_bank_is_refused_by_what_it_no_longer_finds(
    frozen: Frozen, champion: FoundModel, collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(champion.detector.network_path.parent, folder)
    whole = faiss.read_index(str(folder / "bank.faiss"))
    vectors = whole.reconstruct_n(0, whole.ntotal)
    vectors[::2] = 0
    damaged = faiss.IndexFlatL2(vectors.shape[1])
    damaged.add(vectors)
    write_anew(folder, "bank.faiss", faiss.serialize_index(damaged).tobytes())
    refused_by = failed(prove(frozen, champion, find(folder), collection))
    assert "improvement" in refused_by
    assert refused_by & {"labels", "drawn", "detection", "slices"}


def test_a_slow_challenger_is_refused_by_latency_and_drawn_at_the_larger_size(
    frozen: Frozen,
    champion: FoundModel,
    training: Path,
    collection: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cost, "_TIMED", 5)
    monkeypatch.setattr(cost, "_MOST_ROUNDS", 3)
    slow = fit(training, tmp_path / "slow", small_collection(image_size=192))
    report = prove(frozen, champion, slow, collection)
    assert "latency" in failed(report)
    drawn = next(gate for gate in report.gates if gate.name == "drawn")
    assert drawn.champion is not None
    assert min(drawn.champion, drawn.challenger or 0) > 0.9  # resized, both still see the defects


@pytest.mark.usefixtures("few_timings")
def test_an_evaluation_is_the_same_twice_and_leaves_out_what_cannot_be_read(
    frozen: Frozen, champion: FoundModel, collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "frozen"
    shutil.copytree(frozen.folder, folder)
    victims = [row.path for row in frozen.rows if "good" in row.path][:2]
    (folder / victims[0]).write_bytes(b"other content")
    (folder / victims[1]).unlink()
    hurt = Frozen(folder, frozen.table, frozen.rows)
    first, second = (hurt.evaluate(champion, champion, collection) for _ in range(2))
    costs = {"champion_cost", "challenger_cost"}
    assert first.model_dump(exclude=costs) == second.model_dump(exclude=costs)
    assert (first.images, first.unreadable) == (158, 2)
    assert first.false_alarms.images == 118
    assert first.labels is not None
    assert (first.labels.defects, first.labels.normals) == (40, 118)
    assert [found.slice for found in first.slices] == ["camera=left", "camera=right"]
    assert sum(found.images for found in first.slices) == 158
    assert first.rank_correlation == pytest.approx(1)


def test_frozen_images_that_are_all_gone_are_one_clear_error(
    frozen: Frozen, champion: FoundModel, collection: Collection, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="expected to read the 160 frozen images, got none of them"):
        evaluate_models(
            open_folder(tmp_path), frozen.table, frozen.rows, champion, champion, collection, workers=WORKERS
        )


@pytest.mark.usefixtures("few_timings")
def test_each_image_counts_with_its_shortest_time_of_all_turns(champion: FoundModel) -> None:
    # Whatever else the machine did fell on other images in each turn.
    disturbed = [[10.0] * 9 + [90.0], [90.0] + [10.0] * 9]
    turns = [cost.Measured(image_ms=times, cold_start_seconds=2, peak_rss_mb=300) for times in disturbed]
    best = turns[0].better_with(turns[1]).cost(champion.detector)
    assert (best.p50_ms, best.p95_ms) == (10.0, 10.0)


def test_a_cost_is_of_its_own_process_and_a_failing_one_says_why(
    frozen: Frozen, champion: FoundModel, collection: Collection, tmp_path: Path
) -> None:
    ballast = bytearray(1_500_000_000)  # of this process, which a child's figures must not count
    ballast[::4096] = b"x" * len(ballast[::4096])
    images = open_folder(frozen.folder)
    measured = cost.measure_costs(champion.detector, champion.detector, images, frozen.rows, collection, WORKERS)
    for found in measured:
        assert 0 < found.p50_ms <= found.p95_ms
        assert found.cold_start_seconds * 1000 > found.p50_ms
        assert 100 < found.peak_rss_mb < 1200
        assert found.size_mb > 1
    del ballast
    folder = tmp_path / "broken"
    shutil.copytree(champion.detector.network_path.parent, folder)
    broken = find(folder)
    (folder / "bank.faiss").write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"expected to measure its cost, the process ended with 1: .*bank.faiss"):
        cost.measure_costs(champion.detector, broken.detector, images, frozen.rows, collection, WORKERS)
