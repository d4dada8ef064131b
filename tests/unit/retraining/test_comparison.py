"""Two models on the same images: figures as scikit-learn has them, intervals as resampling by image gives them."""

from math import comb

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nightglass.retraining import comparison
from nightglass.retraining.comparison import (
    ClassScores,
    compare_detection,
    compare_false_alarms,
    correlate_ranks,
)


def draw(seed: int, defects: int, normals: int, shift: float, noise: float) -> tuple[ClassScores, ClassScores]:
    """Two models that see the same images through their own noise; the challenger's defects lie ``shift`` higher."""
    random = np.random.default_rng(seed)
    shared = random.normal(0, 1, normals), random.normal(1, 1, defects)

    def see(extra: float) -> ClassScores:
        good = shared[0] + random.normal(0, noise, normals)
        return ClassScores(shared[1] + extra + random.normal(0, noise, defects), good, float(np.quantile(good, 0.99)))

    return see(0.0), see(shift)


def compare(champion: ClassScores, challenger: ClassScores, source: str = "labels"):
    return compare_detection(source, champion, challenger, confidence=0.95, target_rate=0.01)


def figures(scores: ClassScores, defects: np.ndarray, normals: np.ndarray) -> np.ndarray:
    truth = np.repeat([True, False], [len(defects), len(normals)])
    values = np.concatenate([scores.defects[defects], scores.normals[normals]])
    return np.array([roc_auc_score(truth, values), average_precision_score(truth, values)])


@pytest.mark.parametrize("source", ["labels", "drawn"])
def test_figures_and_intervals_are_those_of_resampling_the_same_images_for_both(source: str) -> None:
    pair = draw(0, 80, 80, shift=0.3, noise=0.4)
    detection = compare(*pair, source)
    random = np.random.default_rng(5)
    differences = []
    for _ in range(400):
        normals = random.integers(0, 80, 80)
        defects = normals if source == "drawn" else random.integers(0, 80, 80)
        differences.append(figures(pair[1], defects, normals) - figures(pair[0], defects, normals))
    everything = np.arange(80)
    spread = np.std(differences, axis=0)
    for at, found in enumerate((detection.auroc, detection.average_precision)):
        assert found.champion == pytest.approx(figures(pair[0], everything, everything)[at])
        assert found.challenger == pytest.approx(figures(pair[1], everything, everything)[at])
        low, high = np.percentile(np.array(differences)[:, at], [2.5, 97.5])
        assert found.low == pytest.approx(low, abs=spread[at] / 3)
        assert found.high == pytest.approx(high, abs=spread[at] / 3)


def test_sharing_the_resamples_makes_the_interval_narrower_than_two_of_their_own() -> None:
    champion, challenger = draw(1, 100, 300, shift=0.0, noise=0.1)
    both_alike = compare(champion, challenger).auroc
    _, stranger = draw(2, 100, 300, shift=0.0, noise=0.1)
    apart = compare(champion, stranger).auroc
    assert both_alike.high - both_alike.low < 0.5 * (apart.high - apart.low)


def test_a_model_against_itself_differs_by_nothing_and_is_no_better() -> None:
    champion, _ = draw(3, 30, 60, shift=0.0, noise=0.3)
    detection = compare(champion, champion)
    for found in (detection.auroc, detection.average_precision):
        assert (found.low, found.high, found.p_value) == (0.0, 0.0, 1.0)
    assert compare_false_alarms(champion.normals > 1, champion.normals > 1).p_value == 1.0


def test_chance_calls_an_equal_challenger_better_as_often_as_its_level_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_RESAMPLES", 400)
    p_values = [compare(*draw(seed, 40, 80, shift=0.0, noise=0.5)).auroc.p_value for seed in range(60)]
    assert sum(p <= 0.1 for p in p_values) <= 13  # of 60, 6 expected
    clearly = [compare(*draw(seed, 40, 80, shift=1.0, noise=0.5)).auroc.p_value for seed in range(10)]
    assert max(clearly) < 0.01


def test_a_champion_that_alarms_too_often_is_held_to_the_aim_where_defects_are_found() -> None:
    champion, challenger = draw(4, 200, 400, shift=0.0, noise=0.2)
    loose = ClassScores(champion.defects, champion.normals, -1.0)
    assert (loose.defects >= loose.threshold).mean() > 0.9
    found = compare(loose, challenger).found
    assert found.champion == pytest.approx(compare(champion, challenger).found.champion, abs=0.05)
    silent = ClassScores(challenger.defects, challenger.normals, 99.0)
    lost = compare(loose, silent).found
    assert lost.challenger == 0
    assert lost.high < 0


@pytest.mark.parametrize(
    ("only_champion", "only_challenger"), [(9, 1), (1, 9), (3, 3), (0, 0)], ids=["fewer", "more", "as many", "none"]
)
def test_false_alarms_are_tested_on_the_images_where_the_models_disagree(
    only_champion: int, only_challenger: int
) -> None:
    champion = np.array([True] * (5 + only_champion) + [False] * (only_challenger + 50))
    challenger = np.array([True] * 5 + [False] * only_champion + [True] * only_challenger + [False] * 50)
    counted = compare_false_alarms(champion, challenger)
    assert (counted.champion, counted.challenger) == (5 + only_champion, 5 + only_challenger)
    assert (counted.only_champion, counted.only_challenger) == (only_champion, only_challenger)
    disagreed = only_champion + only_challenger
    as_many_or_more = sum(comb(disagreed, number) for number in range(only_champion, disagreed + 1))
    assert counted.p_value == pytest.approx(as_many_or_more / 2**disagreed)


def test_rank_correlation_needs_scores_that_differ() -> None:
    scores = np.arange(10.0)
    assert correlate_ranks(scores, scores**3) == pytest.approx(1)
    assert correlate_ranks(scores, -scores) == pytest.approx(-1)
    assert correlate_ranks(scores, np.zeros(10)) is None
    assert correlate_ranks(scores[:2], scores[:2]) is None
