import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nightglass.engine.evaluation import evaluate_scores
from nightglass.errors import InputError


def table(scores: np.ndarray, threshold: float = 1.0) -> pa.Table:
    paths = [f"{number}.png" for number in range(len(scores))]
    return pa.table({"path": paths, "image_score": scores, "is_anomalous": scores >= threshold})


def test_figures_agree_with_scikit_learn_and_intervals_hold_them() -> None:
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(0, 1, 150), random.normal(1.5, 1, 50)])
    labels = {f"{i}.png": "defect" if i >= 150 else "normal" for i in range(200)}
    figures = evaluate_scores(table(scores), labels)
    is_defect = np.arange(200) >= 150
    assert figures["auroc"]["value"] == pytest.approx(roc_auc_score(is_defect, scores))
    assert figures["average_precision"]["value"] == pytest.approx(average_precision_score(is_defect, scores))
    assert figures["detection_rate"]["value"] == pytest.approx((scores[150:] >= 1).mean())
    assert figures["false_alarm_rate"]["value"] == pytest.approx((scores[:150] >= 1).mean())
    for name in ("auroc", "average_precision", "detection_rate", "false_alarm_rate"):
        assert 0 <= figures[name]["low"] < figures[name]["value"] < figures[name]["high"] <= 1
    assert evaluate_scores(table(scores), labels) == figures


@pytest.mark.parametrize("decimals", [9, 0], ids=["all different", "many ties"])
def test_intervals_are_those_of_resampling_image_by_image(decimals: int) -> None:
    random = np.random.default_rng(1)
    scores = np.concatenate([random.normal(0, 1, 300), random.normal(1.5, 1, 60)]).round(decimals)
    is_defect = np.arange(360) >= 300
    figures = evaluate_scores(table(scores), {f"{i}.png": "defect" if i >= 300 else "normal" for i in range(360)})
    resampled = []
    for _ in range(400):
        rows = np.concatenate([random.integers(0, 300, 300), random.integers(300, 360, 60)])
        pair = is_defect[rows], scores[rows]
        resampled.append((roc_auc_score(*pair), average_precision_score(*pair)))
    spread = np.std(resampled, axis=0)
    for at, name in enumerate(("auroc", "average_precision")):
        low, high = np.percentile(np.array(resampled)[:, at], [2.5, 97.5])
        # Two bootstraps put their ends within a few tenths of the standard deviation of each other.
        assert figures[name]["low"] == pytest.approx(low, abs=spread[at] / 3)
        assert figures[name]["high"] == pytest.approx(high, abs=spread[at] / 3)


def test_ties_and_perfect_rankings_agree_with_scikit_learn() -> None:
    for scores in ([0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 2.0], [3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0]):
        labels = {f"{i}.png": "defect" if i >= 2 else "normal" for i in range(4)}
        figures = evaluate_scores(table(np.array(scores)), labels)
        is_defect = [False, False, True, True]
        assert figures["auroc"]["value"] == pytest.approx(roc_auc_score(is_defect, scores))
        assert figures["average_precision"]["value"] == pytest.approx(average_precision_score(is_defect, scores))


def test_one_class_gives_rates_and_no_ranking() -> None:
    figures = evaluate_scores(table(np.array([0.0, 2.0])), {"0.png": "normal", "1.png": "normal", "gone.png": "defect"})
    assert figures["auroc"] is None
    assert figures["detection_rate"] is None
    assert figures["false_alarm_rate"]["count"] == 1
    assert figures["labels_without_score"] == 1


def test_labels_of_other_images_are_refused() -> None:
    with pytest.raises(InputError, match="expected paths of the 2 scored images, got 1 others"):
        evaluate_scores(table(np.zeros(2)), {"other.png": "normal"})
