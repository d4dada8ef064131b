"""Which images a challenger is fitted on, and which it is measured on."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from nightglass.collection_parts import Retraining
from nightglass.collections import Collection
from nightglass.detector.detector import Detector
from nightglass.detector.files import load_detector
from nightglass.engine.training_record import TRAINING_SCHEMA, read_training
from nightglass.errors import InputError
from nightglass.retraining.gathering import GATHERED_SCHEMA, GOLDEN, NightImages
from nightglass.retraining.screening import bank_vectors, score_of_share
from nightglass.retraining.snapshot import CALLED_DEFECT, NEW_NORMAL, Snapshot, take_snapshot
from nightglass.retraining.verdicts import Scope, Verdict, VerdictsInEffect, Word

NIGHT = "2026-03-02"


@pytest.fixture(scope="module")
def champion(model: Path) -> Detector:
    return load_detector(model)


@pytest.fixture(scope="module")
def record(model: Path) -> pa.Table:
    return read_training(model)


def collect(**options: object) -> Collection:
    """A collection whose images' paths begin with their camera."""
    asked = Retraining.model_validate({"max_night_share": 0.9, **options})
    return Collection(name="cells", images="{night}", slices="^(?P<camera>[^/]+)/", retraining=asked)


def make_night(
    champion: Detector,
    scores: list[float],
    *,
    night: str = NIGHT,
    vectors: NDArray[np.float32] | None = None,
    camera: str = "left",
    by_champion: bool = True,
) -> NightImages:
    """A night of images that arrived one second after the other; each lies far from all the others."""
    count = len(scores)
    start = datetime.fromisoformat(night).replace(tzinfo=UTC)
    paths = [f"{camera}/{number:04d}.png" for number in range(count)]
    rows = {
        "path": [f"{night}/{path}" for path in paths],
        "source": [night] * count,
        "images_url": [f"/images/{night}"] * count,
        "path_in_folder": paths,
        "raw_path": [None] * count,
        "size_bytes": [1] * count,
        "modified_at": [start + timedelta(seconds=number) for number in range(count)],
        "sha256": [f"{night} {camera} {number}" for number in range(count)],
        "width": [1] * count,
        "height": [1] * count,
        "label": [None] * count,
        "reason": [None] * count,
        "image_score": scores,
        "is_anomalous": [score >= champion.calibration.image_threshold for score in scores],
    }
    if vectors is None:
        seed = int(start.timestamp()) % 1000 + len(camera)
        vectors = np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return NightImages(night, pa.table(rows, GATHERED_SCHEMA), vectors, by_champion)


def take(
    champion: Detector,
    record: pa.Table,
    nights: list[NightImages],
    verdicts: list[Verdict] | None = None,
    collection: Collection | None = None,
) -> Snapshot:
    def measure_group(group: pa.Table) -> NDArray[np.float64]:
        return np.random.default_rng(0).permutation(len(group)) / len(group)

    return take_snapshot(
        champion, record, nights, VerdictsInEffect(verdicts or []), collection or collect(), measure_group
    )


def say(
    entry: int, verdict: Word, sha256: str = "", *, scope: Scope = "image", slice_name: str | None = None
) -> Verdict:
    at = f"2026-04-01T00:00:{entry:02d}.000000Z"
    return Verdict(
        entry=entry, night=NIGHT, scope=scope, path="x" if sha256 else None, sha256=sha256 or None, slice=slice_name,
        verdict=verdict, at=at, by="ada", source="cli",
    )  # fmt: skip


def sources(table: pa.Table) -> Counter[str]:
    return Counter(table["source"].to_pylist())


def test_the_latest_images_are_frozen_and_what_looks_good_is_trained_on(champion: Detector, record: pa.Table) -> None:
    limit, threshold = score_of_share(champion, 0.9), champion.calibration.image_threshold
    scores = [limit - 1] * 80 + [(limit + threshold) / 2] * 10 + [threshold + 1] * 10
    taken = take(champion, record, [make_night(champion, scores)])
    assert sources(taken.training) == {"training": 40, NIGHT: 70}
    assert taken.facts.images == 110
    assert sorted(taken.frozen["path_in_folder"].to_pylist()) == [f"left/{number:04d}.png" for number in range(70, 100)]
    assert sum(taken.frozen["presumed_good"].to_pylist()) == 10
    assert taken.facts.left_out == {"unlike most good images": 10, "anomalous": 10}
    assert not set(taken.frozen["sha256"].to_pylist()) & set(taken.training["sha256"].to_pylist())


def test_the_same_snapshot_has_the_same_data_version(champion: Detector, record: pa.Table) -> None:
    nights = [make_night(champion, [-1.0] * 30)]
    first, again = take(champion, record, nights), take(champion, record, nights)
    labelled = take(champion, record, nights, [say(1, "defect", f"{NIGHT} left 3")])
    assert first.facts.data_version == again.facts.data_version != labelled.facts.data_version


def test_verdicts_decide_over_the_champion(champion: Detector, record: pa.Table) -> None:
    high = champion.calibration.image_threshold + 5
    known = record["sha256"][0].as_py()
    verdicts = [
        say(1, "normal", f"{NIGHT} left 0"),
        say(2, "defect", f"{NIGHT} left 1"),
        say(3, "unsure", f"{NIGHT} left 2"),
        say(4, "defect", known),
    ]
    taken = take(champion, record, [make_night(champion, [high, -1.0, -1.0, *[-1.0] * 27])], verdicts)
    labels = dict(zip(taken.training["sha256"].to_pylist(), taken.training["label"].to_pylist(), strict=True))
    frozen = dict(zip(taken.frozen["sha256"].to_pylist(), taken.frozen["label"].to_pylist(), strict=True))
    assert (labels | frozen)[f"{NIGHT} left 0"] == "normal"
    assert (labels | frozen)[f"{NIGHT} left 1"] == "defect"
    assert f"{NIGHT} left 2" not in labels
    assert labels[known] == "defect"
    reasons = dict(zip(taken.training["sha256"].to_pylist(), taken.training["reason"].to_pylist(), strict=True))
    assert CALLED_DEFECT in reasons.values()


def test_without_adapting_to_labels_no_defect_is_trained_on(champion: Detector, record: pa.Table) -> None:
    verdicts = [say(number, "defect", f"{NIGHT} left {number}") for number in range(10)]
    taken = take(champion, record, [make_night(champion, [-1.0] * 40)], verdicts, collect(adapt="none"))
    assert taken.facts.defects == 0
    assert "defect" in taken.frozen["label"].to_pylist()


def crowd(count: int, spread: float = 0.02) -> NDArray[np.float32]:
    """Vectors that lie close together, far from the memory bank."""
    center = np.zeros(128)
    center[-1] = 1
    vectors = center + spread * np.random.default_rng(5).normal(size=(count, 128))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("new_normal", ["ask", "admit"])
def test_a_new_kind_of_normal_is_told_and_admitted_where_allowed(
    champion: Detector, record: pa.Table, new_normal: str
) -> None:
    high = champion.calibration.image_threshold + 5
    night = make_night(champion, [high] * 100, vectors=crowd(100))
    taken = take(champion, record, [night], collection=collect(new_normal=new_normal))
    assert taken.facts.new_normal is not None
    assert "100 images that the champion finds unusual look like one new kind of normal" in taken.facts.new_normal
    admitted = [reason == NEW_NORMAL for reason in taken.training["reason"].to_pylist()]
    assert any(admitted) == (new_normal == "admit")
    assert any(taken.frozen["presumed_good"].to_pylist()) == (new_normal == "admit")


def test_what_is_called_normal_in_bulk_is_still_screened(champion: Detector, record: pa.Table) -> None:
    high = champion.calibration.image_threshold + 5
    night = make_night(champion, [high] * 100)
    taken = take(champion, record, [night], [say(1, "normal", scope="slice", slice_name="camera=left")])
    admitted = sum(reason == NEW_NORMAL for reason in taken.training["reason"].to_pylist())
    assert 0 < admitted < 70
    assert taken.facts.left_out["not typical of the new kind of normal"] > 0


def test_one_night_makes_up_no_more_than_its_share(champion: Detector, record: pa.Table) -> None:
    taken = take(champion, record, [make_night(champion, [-1.0] * 300)], collection=collect(max_night_share=0.4))
    assert sources(taken.training)[NIGHT] / len(taken.training) <= 0.4
    assert taken.facts.left_out["more than one night's share"] > 0


def test_one_slice_makes_up_no_more_than_its_share(champion: Detector, record: pa.Table) -> None:
    nights = [make_night(champion, [-1.0] * 100, camera="left"), make_night(champion, [-1.0] * 20, camera="right")]
    taken = take(champion, record, nights, collection=collect(max_slice_share=0.3))
    left = sum(path.startswith(f"{NIGHT}/left") for path in taken.training["path"].to_pylist())
    assert left / len(taken.training) <= 0.3


def test_frozen_images_are_no_near_duplicates_of_what_is_trained_on(champion: Detector, record: pa.Table) -> None:
    vectors = bank_vectors(champion)
    taken = take(champion, record, [make_night(champion, [-1.0] * 40, vectors=vectors)])
    assert len(taken.frozen) == 0
    assert sources(taken.training) == {"training": 40}
    assert taken.facts.left_out["near-duplicate, frozen"] == 12


def test_what_another_model_scored_is_used_only_with_a_verdict(champion: Detector, record: pa.Table) -> None:
    old = make_night(champion, [-1.0] * 30, night="2026-03-01", by_champion=False)
    verdicts = [say(1, "normal", "2026-03-01 left 0"), say(2, "defect", "2026-03-01 left 1")]
    taken = take(champion, record, [old, make_night(champion, [-1.0] * 30)], verdicts)
    assert sources(taken.training)["2026-03-01"] + sources(taken.frozen)["2026-03-01"] == 2
    with pytest.raises(InputError, match="expected nights that the champion scored, got none"):
        take(champion, record, [old])


def test_a_second_copy_counts_once(champion: Detector, record: pa.Table) -> None:
    night = make_night(champion, [-1.0] * 30)
    taken = take(champion, record, [night, night])
    assert len(set(taken.training["path"].to_pylist())) == len(taken.training)
    assert taken.training.schema == TRAINING_SCHEMA


def make_golden(champion: Detector, labels: list[str]) -> NightImages:
    """A golden set with these labels."""
    drawn = make_night(champion, [-1.0] * len(labels), night="2026-01-01")
    table = drawn.table.set_column(
        drawn.table.schema.get_field_index("source"), "source", pa.array([GOLDEN] * len(labels))
    )
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels, pa.string()))
    return NightImages(GOLDEN, table, drawn.vectors, by_champion=True)


def test_a_golden_set_is_always_frozen_and_the_verdicts_are_all_learned_from(
    champion: Detector, record: pa.Table
) -> None:
    golden = make_golden(champion, ["defect"] * 5 + ["normal"] * 5)
    verdicts = [say(number, "defect", f"{NIGHT} left {number}") for number in range(10)]
    taken = take(champion, record, [golden, make_night(champion, [-1.0] * 40)], verdicts)
    assert taken.facts.defects == 10
    assert GOLDEN not in sources(taken.training)
    assert sources(taken.frozen) == {GOLDEN: 10, NIGHT: 9}
    frozen = [row for row in taken.frozen.to_pylist() if row["source"] == GOLDEN]
    assert [(row["label"], row["presumed_good"]) for row in frozen] == [("defect", False)] * 5 + [("normal", True)] * 5


def test_what_the_champion_was_fitted_on_leaves_the_golden_set(champion: Detector, record: pa.Table) -> None:
    golden = make_golden(champion, ["defect"] * 3)
    known = golden.table.slice(0, 1).select(TRAINING_SCHEMA.names)
    taken = take(champion, pa.concat_tables([record, known]), [golden, make_night(champion, [-1.0] * 40)])
    assert sources(taken.frozen)[GOLDEN] == 2


@pytest.mark.parametrize("spread", [0.02, 0.002])
def test_a_new_kind_that_looks_crowded_to_the_champion_is_trained_on(
    champion: Detector, record: pa.Table, spread: float
) -> None:
    high = champion.calibration.image_threshold + 5
    night = make_night(champion, [high] * 100, vectors=crowd(100, spread))
    taken = take(champion, record, [night], collection=collect(new_normal="admit"))
    admitted = sum(reason == NEW_NORMAL for reason in taken.training["reason"].to_pylist())
    assert admitted >= 40
