import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save
from sklearn.metrics import roc_auc_score

from nightglass.detector.label_head import LabelHead, pool_features, standardize
from nightglass.detector.label_head_fit import MAX_SUPPORT, FittedHead, HeadImages, fit_label_head

FEATURES = 24
NONE = HeadImages(np.empty((0, FEATURES), np.float32), np.empty(0))


def draw(random: np.random.Generator, count: int, shift: float = 0.0, score: float = 0.0) -> HeadImages:
    """Images whose third feature is off by ``shift``, which the good-only score sees only as ``score``."""
    features = random.normal(5, 2, (count, FEATURES))
    features[:, 3] += 2 * shift
    return HeadImages(features.astype(np.float32), random.normal(score, 1, count))


def take(images: HeadImages, rows: slice | NDArray[np.int64]) -> HeadImages:
    return HeadImages(images.features[rows], images.scores[rows])


def join(*parts: HeadImages) -> HeadImages:
    return HeadImages(np.concatenate([p.features for p in parts]), np.concatenate([p.scores for p in parts]))


def fit(normal: HeadImages, defect: HeadImages, verdicts: int = 0, seed: int = 0) -> FittedHead:
    fitted = fit_label_head(normal, defect, np.arange(len(normal.scores)) < verdicts, seed)
    assert fitted is not None
    return fitted


def add(head: LabelHead, images: HeadImages) -> NDArray[np.float64]:
    return head.score(images.features, images.scores)


@pytest.mark.parametrize("labels", [1, 5, 20, 60])
def test_the_head_finds_defects_that_the_good_only_score_hardly_sees(labels: int) -> None:
    random = np.random.default_rng(0)
    head = fit(draw(random, 300), draw(random, labels, shift=4, score=1)).head
    good, bad = draw(random, 500), draw(random, 500, shift=4, score=1)
    images, is_defect = join(good, bad), np.repeat([False, True], 500)
    without = roc_auc_score(is_defect, images.scores)
    assert roc_auc_score(is_defect, images.scores + add(head, images)) > without + 0.002 * min(labels, 50)
    assert add(head, bad).mean() > 0.1
    assert abs(add(head, good).mean()) < 0.1 * head.weight + 0.01


def test_the_head_counts_more_with_more_labels_and_never_without_bound() -> None:
    random = np.random.default_rng(1)
    good, bad = draw(random, 200), draw(random, 1000, shift=4)
    weights = [fit(good, take(bad, slice(count))).head.weight for count in (1, 10, 49, 200, 1000)]
    assert weights == sorted(weights)
    assert weights[0] < 0.1
    assert weights[-1] <= 4


def test_without_a_labelled_defect_there_is_no_head() -> None:
    good = draw(np.random.default_rng(2), 50)
    assert fit_label_head(good, NONE, np.ones(50, bool), seed=0) is None


def test_a_held_out_term_is_what_a_head_without_that_image_gives_it() -> None:
    random = np.random.default_rng(3)
    # One good image looks like the defects: knowing it, the head would call it good.
    good, bad = join(draw(random, 1, shift=4), draw(random, 250)), draw(random, 20, shift=4)
    fitted = fit(good, bad)
    for row in (0, 1, 2):
        others = take(good, np.delete(np.arange(251), row))
        left_out = add(fit(others, bad).head, take(good, slice(row, row + 1)))[0]
        assert fitted.held_out[row] == pytest.approx(left_out, rel=0.15, abs=0.05)
    assert fitted.held_out[0] > 4 * add(fitted.head, take(good, slice(0, 1)))[0]


@pytest.mark.parametrize("known", [250, MAX_SUPPORT + 500])
def test_held_out_terms_are_spread_like_those_of_new_good_images(known: int) -> None:
    random = np.random.default_rng(4)
    good, new = draw(random, known), draw(random, 4000)
    fitted = fit(good, draw(random, 60, shift=2, score=1))
    threshold = np.quantile(good.scores + fitted.held_out, 0.9)
    assert 0.06 < np.mean(new.scores + add(fitted.head, new) > threshold) < 0.14


@pytest.mark.parametrize("known", [300, 2 * MAX_SUPPORT])
def test_an_image_that_an_analyst_called_normal_draws_its_like_back_to_good(known: int) -> None:
    random = np.random.default_rng(5)
    good, bad, odd = draw(random, known), draw(random, 30, shift=3, score=2), draw(random, 20, shift=-3, score=3)
    alike = draw(random, 200, shift=-3, score=3)
    without = add(fit(good, bad).head, alike).mean()
    taken_to_be_good = add(fit(join(odd, good), bad).head, alike).mean()
    called_normal = add(fit(join(odd, good), bad, verdicts=20).head, alike).mean()
    assert called_normal < taken_to_be_good < without


def test_images_that_are_called_both_end_between_normal_and_defect() -> None:
    random = np.random.default_rng(6)
    good, bad, disputed = draw(random, 200), draw(random, 10, shift=4), draw(random, 5, shift=4)
    head = fit(join(disputed, good), join(disputed, bad), verdicts=5).head
    assert add(head, take(good, slice(5))).max() < add(head, disputed).mean() < add(head, bad).mean()


def test_labels_that_say_nothing_count_less_once_there_are_enough_to_tell() -> None:
    random = np.random.default_rng(7)
    good = draw(random, 300)
    # The good-only score finds these; otherwise they look like good images, so a head can only add noise.
    nothing_new = fit(good, draw(random, 60, score=2.5)).head
    assert nothing_new.weight < 0.6 * fit(good, draw(random, 60, shift=4, score=2.5)).head.weight
    assert fit(good, draw(random, 20, score=2.5)).head.weight == fit(good, draw(random, 20, shift=4)).head.weight


@pytest.mark.parametrize(("normals", "defects"), [(3000, 5000), (3000, 10), (20, 5000)])
def test_thousands_of_labels_leave_a_bounded_head(normals: int, defects: int) -> None:
    random = np.random.default_rng(8)
    fitted = fit(draw(random, normals), draw(random, defects, shift=4))
    assert fitted.head.support.shape == (FEATURES, min(MAX_SUPPORT, normals + defects))
    assert fitted.head.num_defects == defects
    assert fitted.held_out.shape == (normals,)
    assert add(fitted.head, draw(random, 20, shift=4)).min() > fitted.held_out.mean()


def test_the_same_labels_give_the_same_head_and_a_file_keeps_it() -> None:
    random = np.random.default_rng(9)
    good, bad, new = draw(random, MAX_SUPPORT), draw(random, 40, shift=2), draw(random, 10)
    head, again, other = (fit(good, bad, seed=seed).head for seed in (3, 3, 4))
    loaded = LabelHead.from_arrays(load(save(head.arrays())))
    for same in (again, loaded):
        np.testing.assert_array_equal(add(same, new), add(head, new))
        assert same.num_defects == 40
    assert not np.array_equal(other.support, head.support)


def test_images_that_all_look_the_same_give_numbers() -> None:
    good = HeadImages(np.ones((30, FEATURES), np.float32), np.zeros(30))
    fitted = fit(good, take(good, slice(2)))
    assert np.isfinite(fitted.held_out).all()
    assert np.isfinite(add(fitted.head, good)).all()
    assert np.isfinite(add(fitted.head, HeadImages(np.full((1, FEATURES), 1e9, np.float32), np.array([1e9])))).all()


def test_features_are_the_averages_of_the_embedding_and_of_the_places_and_their_maxima() -> None:
    embedding = np.arange(12, dtype=np.float32).reshape(2, 6)
    patches = np.zeros((2, 1, 2, 2), np.float32)
    patches[1, 0, 1, 0] = 8
    np.testing.assert_array_equal(pool_features(embedding, patches), [[0, 1, 0, 0], [6, 7, 2, 8]])


def test_an_image_called_normal_is_always_among_those_that_the_head_holds() -> None:
    random = np.random.default_rng(10)
    good = draw(random, 2 * MAX_SUPPORT)
    head = fit(good, draw(random, 10, shift=4), verdicts=40).head
    called_normal = standardize(head.standardization, good.features[:40])
    assert all((row == head.support.T).all(axis=1).any() for row in called_normal)


def test_what_is_far_beyond_everything_known_counts_no_more_than_what_is_beyond() -> None:
    random = np.random.default_rng(11)
    head = fit(draw(random, 200), draw(random, 30, shift=4, score=1)).head
    beyond, far_beyond = np.full((2, 50, FEATURES), 5, np.float32)
    beyond[:, 0], far_beyond[:, 0] = 1e3, 1e9
    np.testing.assert_allclose(head.score(far_beyond, np.full(50, 1e9)), head.score(beyond, np.full(50, 1e3)))


def test_one_label_moves_not_even_its_own_image_by_much() -> None:
    random = np.random.default_rng(12)
    bad = draw(random, 1, shift=4)
    assert 0 < add(fit(draw(random, 500), bad).head, bad)[0] < 2
