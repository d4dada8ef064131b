"""Figures of the quality benchmark, on cases that can be counted by hand."""

import numpy as np
import pytest
from benchmarks.metrics import image_figures, pixel_figures
from sklearn.metrics import roc_auc_score


def test_image_figures_of_a_perfect_ranking():
    is_defect = np.array([False] * 100 + [True] * 20)
    figures = image_figures(is_defect, is_defect.astype(float) + np.linspace(0, 0.5, 120))
    assert figures == {"auroc": 1.0, "average_precision": 1.0, "recall_at_1pct_false_alarms": 1.0}


def test_recall_counts_only_defects_above_all_but_one_percent_of_the_good():
    good, bad = np.arange(200.0), np.array([198.5, 197.5, 300.0])
    figures = image_figures(np.array([False] * 200 + [True] * 3), np.concatenate([good, bad]))
    assert figures["recall_at_1pct_false_alarms"] == pytest.approx(2 / 3)


def _random_case(levels: int):
    random = np.random.default_rng(0)
    masks = [np.zeros((40, 60), bool) for _ in range(4)]
    masks[0][5:15, 5:20] = True
    masks[0][30:32, 40:42] = True
    masks[1][10:30, 10:30] = True
    maps = [np.floor(levels * (0.3 * mask + random.random(mask.shape))).astype(np.float32) for mask in masks]
    return maps, masks


@pytest.mark.parametrize("levels", [3, 255, 100_000])
def test_pixel_auroc_agrees_with_scikit_learn(levels):
    maps, masks = _random_case(levels)
    expected = roc_auc_score(np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps]))
    assert pixel_figures(maps, masks)["pixel_auroc"] == pytest.approx(expected, abs=1e-9)


def test_pro_agrees_with_its_definition():
    maps, masks = _random_case(50)
    places = [(0, np.s_[5:15, 5:20]), (0, np.s_[30:32, 40:42]), (1, np.s_[10:30, 10:30])]
    normal = np.concatenate([m[~mask] for m, mask in zip(maps, masks, strict=True)])
    curve = [(0.0, 0.0)]
    for threshold in sorted(np.unique(np.concatenate(maps)), reverse=True):
        overlap = np.mean([(maps[image][place] >= threshold).mean() for image, place in places])
        curve.append(((normal >= threshold).mean(), overlap))
    rates, overlaps = np.array(curve).T
    fine = np.linspace(0, 0.3, 200_001)
    expected = np.trapezoid(np.interp(fine, rates, overlaps), fine) / 0.3
    assert pixel_figures(maps, masks)["pro"] == pytest.approx(expected, abs=1e-4)


def test_every_place_weighs_the_same_in_pro_whatever_its_size():
    mask = np.zeros((100, 100), bool)
    mask[:50, :50] = True
    mask[90, 90] = True
    found_large, found_small = np.zeros((100, 100)), np.zeros((100, 100))
    found_large[:50, :50] = 1
    found_small[90, 90] = 1
    large, small = (pixel_figures([found], [mask]) for found in (found_large, found_small))
    assert large["pro"] == pytest.approx(small["pro"])
    assert large["pixel_auroc"] > small["pixel_auroc"]


def test_pixels_that_touch_at_a_corner_are_one_place():
    corner, apart = np.zeros((50, 50), bool), np.zeros((50, 50), bool)
    corner[10, 10] = corner[11, 11] = corner[30, 30] = True
    apart[10, 10] = apart[20, 11] = apart[30, 30] = True
    found = np.zeros((50, 50))
    found[30, 30] = 1
    assert pixel_figures([found], [corner])["pro"] > pixel_figures([found], [apart])["pro"]


def test_a_perfect_map_has_a_pro_of_one_and_a_blank_one_chance():
    mask = np.zeros((30, 30), bool)
    mask[3:9, 3:9] = True
    assert pixel_figures([mask.astype(float)], [mask])["pro"] == pytest.approx(1.0)
    blank = pixel_figures([np.zeros((30, 30))], [mask])
    assert blank["pixel_auroc"] == pytest.approx(0.5)
    assert blank["pro"] == pytest.approx(0.15)


def test_masks_of_another_shape_or_without_defects_are_refused():
    with pytest.raises(ValueError, match="shape"):
        pixel_figures([np.zeros((3, 3))], [np.zeros((3, 4), bool)])
    with pytest.raises(ValueError, match="defective and normal"):
        pixel_figures([np.zeros((3, 3))], [np.zeros((3, 3), bool)])
