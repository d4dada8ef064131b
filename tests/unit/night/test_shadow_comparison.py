"""Two models on the same images: what is counted, and which differences are shown."""

import numpy as np
import pyarrow as pa
import pytest

from nightglass.errors import InputError
from nightglass.night.shadow_comparison import ScoredImage, ScoredPair, compare_scores, pair_scores, read_scores
from nightglass.storage import open_folder

BEFORE, AFTER = 2.0, 5.0


def image(path, score, threshold=BEFORE, content="0"):
    return ScoredImage(path, content * 64, score, score >= threshold)


def pair(path, champion, challenger):
    return ScoredPair(image(path, champion), image(path, challenger, AFTER))


def compare(pairs, **options):
    return compare_scores(pairs, champion_threshold=BEFORE, challenger_threshold=AFTER, **options)


def test_every_image_is_counted_once():
    found, shown = compare(
        [pair("a", 1, 1), pair("b", 1.5, 2), pair("c", 3, 4), pair("d", 0, 6), pair("e", 9, 9), pair("f", 2, 1)]
    )
    assert (found.scored, found.both, found.only_champion, found.only_challenger, found.neither) == (6, 1, 2, 1, 2)
    assert (found.champion_rate.value, found.challenger_rate.value) == (0.5, pytest.approx(1 / 3))
    assert found.agreement == 0.5
    # Clopper & Pearson's interval of 3 of 6, as in any table of it.
    bounds = (found.champion_rate.low, found.champion_rate.high)
    assert bounds == pytest.approx((0.118, 0.882), abs=1e-3)
    assert {(image.path, image.anomalous_for) for image in shown} == {
        ("c", "champion"), ("d", "challenger"), ("f", "champion"),
    }  # fmt: skip


def test_the_largest_differences_are_shown_by_the_distances_from_each_threshold():
    pairs = [pair("small", 2.1, 4.9), pair("large", 2.1, -3), pair("mine", 1.9, 25), pair("alike", 50, 5)]
    _, shown = compare(pairs)
    assert [found.path for found in shown] == ["mine", "large", "small"]
    assert (shown[0].champion_score, shown[0].challenger_score) == (1.9, 25)
    assert [found.path for found in compare(pairs, limit=2)[1]] == ["mine", "large"]
    assert compare(pairs, limit=0)[1] == []


def test_equal_differences_come_in_the_order_of_their_names_whatever_comes_first():
    pairs = [pair(name, 3, 1) for name in ("b", "a", "d", "ä", "c")]
    for order in (pairs, pairs[::-1]):
        assert [found.path for found in compare(order, limit=3)[1]] == ["a", "b", "c"]


def test_models_that_score_alike_agree():
    scores = np.random.default_rng(0).normal(1, 1, 200).tolist()
    found, shown = compare([pair(f"{i:03d}", score, score + 3) for i, score in enumerate(scores)])
    assert found.agreement == 1
    assert found.rank_correlation == pytest.approx(1)
    assert shown == []
    opposite, _ = compare([pair(f"{i:03d}", score, -score) for i, score in enumerate(scores)])
    assert opposite.rank_correlation == pytest.approx(-1)


def test_a_night_without_images_has_no_shares():
    found, shown = compare([])
    assert (found.scored, found.neither, shown) == (0, 0, [])
    assert (found.agreement, found.champion_rate, found.challenger_rate, found.rank_correlation) == (None,) * 4


def test_constant_scores_have_no_rank_correlation():
    found, _ = compare([pair(name, 1, 1) for name in "abcd"])
    assert found.rank_correlation is None


def test_images_that_one_model_left_out_are_left_out():
    ones = [image(path, 1) for path in ("a", "b", "e", "z/9", "ä")]
    others = [image(path, 2) for path in ("b", "c", "d", "e", "ä", "夜")]
    assert [(one.path, other.path) for one, other in pair_scores(ones, others)] == [("b", "b"), ("e", "e"), ("ä", "ä")]
    assert list(pair_scores([], others)) == []


def test_one_path_with_two_contents_is_refused():
    with pytest.raises(InputError, match=r"'a': expected the same content for champion and challenger, got 0+ and 1+"):
        list(pair_scores([image("a", 1)], [image("a", 1, content="1")]))


def test_scores_are_read_in_batches_in_their_order(tmp_path):
    rows = {
        "path": [f"{i:06d}" for i in range(100_000)],
        "sha256": ["0" * 64] * 100_000,
        "image_score": np.arange(100_000, dtype=float),
        "is_anomalous": np.arange(100_000) >= 99_990,
        "width": [1] * 100_000,
    }
    open_folder(tmp_path).write_table("scores.parquet", pa.table(rows))
    read = read_scores(open_folder(tmp_path))
    assert next(read) == ScoredImage("000000", "0" * 64, 0.0, is_anomalous=False)
    rest = list(read)
    assert len(rest) == 99_999
    assert sum(image.is_anomalous for image in rest) == 10
