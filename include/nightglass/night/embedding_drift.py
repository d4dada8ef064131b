"""Drift of the embeddings: can a classifier tell tonight's images from the reference's?"""

import numpy as np
from numpy.typing import NDArray

from nightglass.errors import InputError
from nightglass.records import EmbeddingDrift

#: With fewer on either side a held-out half says nothing.
MIN_IMAGES = 20
#: Inverse L2 penalty: strong, because there are often fewer images than dimensions.
_INVERSE_PENALTY = 0.1


def embedding_drift(
    reference: NDArray[np.floating],
    night: NDArray[np.floating],
    *,
    seed: int,
    baseline: float | None = None,
) -> EmbeddingDrift | None:
    """Run a classifier two-sample test on two samples of embeddings.

    A regularised logistic regression learns one random half of each side; on the other halves its area under
    the ROC curve gives ``separability = max(0, 2 * AUC - 1)`` and a one-sided Mann-Whitney U test the p-value
    (Lopez-Paz & Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017). Standardised by the reference,
    each row also gets its mean square as a feature: a linear classifier is blind to a change of spread.

    Args:
        reference: Embeddings of training images ``(M, D)``, a bounded sample.
        night: Embeddings of tonight's images ``(N, D)``, a bounded sample.
        seed: Decides the halves; the same seed and embeddings give the same result.
        baseline: Separability of the champion's quiet nights, carried along for the report.

    Returns:
        The drift, or None where either side has fewer than ``MIN_IMAGES`` rows.

    Raises:
        InputError: The sides differ in ``D``, or an embedding is NaN or infinite.
    """
    _check(reference, night)
    if min(len(reference), len(night)) < MIN_IMAGES:
        return None
    from scipy.stats import mannwhitneyu
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    base_train, base_test = _halve(reference, random)
    night_train, night_test = _halve(night, random)
    mean, spread = base_train.mean(axis=0), base_train.std(axis=0)
    spread[spread == 0] = 1.0  # a dead dimension; moving off it still counts

    def features(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (rows - mean) / spread
        return np.column_stack([scaled, np.square(scaled).mean(axis=1)])

    classifier = LogisticRegression(C=_INVERSE_PENALTY, class_weight="balanced", max_iter=1000)
    labels = np.repeat([0, 1], [len(base_train), len(night_train)])
    classifier.fit(features(np.concatenate([base_train, night_train])), labels)
    night_scores = classifier.decision_function(features(night_test))
    base_scores = classifier.decision_function(features(base_test))
    test = mannwhitneyu(night_scores, base_scores, alternative="greater")
    auc = float(test.statistic) / (len(night_scores) * len(base_scores))
    return EmbeddingDrift(
        separability=max(0.0, 2 * auc - 1),
        p_value=float(test.pvalue),
        baseline_separability=baseline,
        num_reference=len(reference),
        num_night=len(night),
    )


def _check(reference: NDArray[np.floating], night: NDArray[np.floating]) -> None:
    if reference.ndim != 2 or night.ndim != 2 or reference.shape[1] != night.shape[1]:
        raise InputError(
            f"embedding drift: expected two arrays with the same D, got {reference.shape} and {night.shape}"
        )
    for name, rows in (("reference", reference), ("night", night)):
        if not np.isfinite(rows).all():
            raise InputError(f"embedding drift: expected finite {name} embeddings, got NaN or infinite ones")


def _halve(rows: NDArray[np.floating], random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = random.permutation(len(rows))
    half = len(rows) // 2
    return rows[order[:half]].astype(np.float64), rows[order[half:]].astype(np.float64)
