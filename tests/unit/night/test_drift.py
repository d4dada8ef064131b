"""Drift: sizes against hand calculations, p-values against simulation, and real shifts found."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from nightglass.detector.reference import ReferenceStatistic, count_bins, reference_statistics
from nightglass.errors import InputError
from nightglass.night.drift import adjust_p_values, statistic_drift
from nightglass.night.embedding_drift import embedding_drift
from nightglass.night.tally import MEDIAN_SAMPLE_SIZE, StatisticTally


def fit(values, bins=10):
    return reference_statistics({"brightness": values}, bins)["brightness"]


def measure(reference, values):
    return statistic_drift(
        "brightness",
        reference,
        night_counts=count_bins(reference.edges, values),
        night_median=float(np.median(values)),
    )


# --- bins


def test_reference_bins_are_quantiles_with_open_ends():
    reference = fit(np.arange(1000.0))
    assert len(reference.edges) == 9
    assert reference.counts == [100] * 10
    assert (reference.count, reference.median) == (1000, 499.5)
    assert count_bins(reference.edges, [-1e9, 1e9, 0.0, 999.0]).tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]


def test_reference_survives_json():
    reference = fit(np.random.default_rng(0).normal(size=300))
    assert ReferenceStatistic.model_validate_json(reference.model_dump_json()) == reference


def test_small_references_get_fewer_bins():
    assert len(fit(np.arange(20.0)).counts) == 4
    assert len(fit(np.arange(3.0)).counts) == 2


@pytest.mark.parametrize("constant", [0.0, 127.5, -3.0, 1e-4, 1e8])
def test_a_constant_reference_sees_the_night_leave_it_on_either_side(constant):
    reference = fit(np.full(200, constant))
    step = max(abs(constant) * 0.01, 1e-3)
    assert measure(reference, np.full(100, constant)).psi == pytest.approx(0, abs=1e-4)
    assert measure(reference, np.full(100, constant)).p_value == 1.0
    for moved in (constant - step, constant + step):
        drift = measure(reference, np.full(100, moved))
        assert drift.psi > 1
        assert drift.p_value < 1e-6


def test_a_value_that_fills_quantiles_has_its_own_bin():
    values = np.concatenate([np.zeros(600), np.linspace(1, 2, 400)])
    reference = fit(values)
    assert reference.counts[1] == 600  # the bin below zero is empty
    assert measure(reference, np.full(100, -1.0)).psi > 1
    assert measure(reference, np.full(100, 0.5)).psi > 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    with pytest.raises(InputError, match="sharpness: expected finite numbers, got 1 NaN or infinite of 3"):
        reference_statistics({"sharpness": [1.0, bad, 2.0]}, 10)
    with pytest.raises(InputError, match="finite"):
        count_bins([0.5], [bad])


def test_an_empty_reference_is_refused():
    with pytest.raises(InputError, match="expected at least 1 value"):
        fit([])


@pytest.mark.parametrize(
    ("edges", "counts"), [([0.0], [1]), ([1.0, 0.0], [1, 1, 1]), ([math.nan], [1, 1]), ([0.0], [0, 0])]
)
def test_a_broken_stored_reference_is_refused(edges, counts):
    with pytest.raises(ValidationError):
        ReferenceStatistic(edges=edges, counts=counts, median=0.0)


# --- a night in chunks


def test_a_tally_does_not_depend_on_the_chunks():
    values = np.random.default_rng(3).normal(size=3 * MEDIAN_SAMPLE_SIZE)
    whole, pieces = StatisticTally([-1.0, 0.0, 1.0]), StatisticTally([-1.0, 0.0, 1.0])
    whole.add(values)
    for chunk in np.split(values, [1, 1, 500, 70_000, 150_000]):
        pieces.add(chunk)
    assert whole.counts.tolist() == pieces.counts.tolist() == count_bins([-1.0, 0.0, 1.0], values).tolist()
    assert whole.median == pieces.median == pytest.approx(0, abs=0.03)


def test_a_tallys_median_is_exact_for_ordinary_nights():
    values = np.random.default_rng(4).normal(size=5000)
    tally = StatisticTally([0.0])
    tally.add(values)
    assert tally.median == np.median(values)


def test_an_empty_tally_has_no_median():
    with pytest.raises(InputError, match="expected at least 1 value"):
        _ = StatisticTally([0.0]).median


# --- PSI


def test_psi_agrees_with_a_calculation_by_hand():
    reference = ReferenceStatistic(edges=[0.0], counts=[50, 50], median=0.0)
    drift = statistic_drift("contrast", reference, night_counts=[20, 80], night_median=1.0)
    q, p = np.array([20.5, 80.5]) / 101, np.array([50.5, 50.5]) / 101
    psi = sum((q - p) * np.log(q / p))
    assert drift.psi == pytest.approx(psi)
    # A chi-square with one degree of freedom is a squared normal.
    assert drift.p_value == pytest.approx(math.erfc(math.sqrt(psi / (2 / 100) / 2)))
    assert (drift.reference_share, drift.night_share) == ([0.5, 0.5], [0.2, 0.8])


def test_a_night_outside_the_reference_range_counts():
    reference = fit(np.random.default_rng(0).normal(size=500))
    drift = measure(reference, np.full(200, 1e6))
    assert drift.psi > 1
    assert drift.night_share[-1] == 1.0
    assert math.isfinite(drift.psi)


@pytest.mark.parametrize("counts", [[1, 2, 3], [0, 0], [-1, 2]])
def test_counts_that_do_not_fit_are_refused(counts):
    reference = ReferenceStatistic(edges=[0.0], counts=[5, 5], median=0.0)
    with pytest.raises(InputError, match="drift of contrast: expected 2 counts"):
        statistic_drift("contrast", reference, night_counts=counts, night_median=0.0)


def draw_normal(rng, size):
    return rng.normal(size=size)


def draw_tied(rng, size):
    return np.where(rng.random(size) < 0.4, 0.0, rng.poisson(3.0, size)).astype(float)


@pytest.mark.parametrize("draw", [draw_normal, draw_tied])
@pytest.mark.parametrize(("n", "m"), [(200, 1000), (60, 200), (2000, 500)])
def test_p_values_are_not_anti_conservative(draw, n, m):
    rng = np.random.default_rng(20260101)
    p_values = np.array([measure(fit(draw(rng, m)), draw(rng, n)).p_value for _ in range(400)])
    # Of 400 at a true 0.05, more than 0.07 happens in 1 of 25 runs; the seed makes this one run.
    assert (p_values < 0.05).mean() <= 0.07
    assert (p_values < 0.01).mean() <= 0.025
    # Nor so shy that nothing would ever be found.
    assert (p_values < 0.5).mean() >= 0.25


def test_a_shift_of_half_a_deviation_is_found():
    rng = np.random.default_rng(1)
    drifts = [measure(fit(rng.normal(size=1000)), rng.normal(0.5, 1, size=200)) for _ in range(50)]
    assert np.mean([drift.p_value < 0.01 for drift in drifts]) >= 0.98
    assert np.median([drift.psi for drift in drifts]) == pytest.approx(0.25, abs=0.1)


def test_holm_correction():
    reference = ReferenceStatistic(edges=[0.0], counts=[5, 5], median=0.0)
    base = statistic_drift("a", reference, night_counts=[5, 5], night_median=0.0)
    statistics = [base.model_copy(update={"name": str(p), "p_value": p}) for p in (0.04, 0.01, 0.03, 0.005)]
    adjusted = adjust_p_values(statistics)
    assert [s.adjusted_p_value for s in adjusted] == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert [s.name for s in adjusted] == ["0.04", "0.01", "0.03", "0.005"]
    assert adjust_p_values([]) == []


# --- embeddings


def embeddings(rng, rows, dimensions=128):
    """Correlated, as real embeddings are."""
    mixing = np.random.default_rng(99).normal(size=(dimensions, dimensions)) * np.geomspace(3, 0.1, dimensions)
    return (rng.normal(size=(rows, dimensions)) @ mixing).astype(np.float32)


def test_the_same_distribution_is_not_separable():
    rng = np.random.default_rng(5)
    drifts = [embedding_drift(embeddings(rng, 500), embeddings(rng, 200), seed=i) for i in range(80)]
    p_values = [drift.p_value for drift in drifts]
    assert np.median([drift.separability for drift in drifts]) < 0.1
    assert np.mean(np.array(p_values) < 0.05) <= 0.1
    assert 0.3 < np.mean(p_values) < 0.7


def test_a_shift_is_found():
    rng = np.random.default_rng(6)
    reference, night = embeddings(rng, 500), embeddings(rng, 200)
    night[:, :5] += night[:, :5].std(axis=0)
    drift = embedding_drift(reference, night, seed=0, baseline=0.05)
    assert drift.separability > 0.5
    assert drift.p_value < 1e-6
    assert (drift.num_reference, drift.num_night, drift.baseline_separability) == (500, 200, 0.05)


def test_a_change_of_spread_alone_is_found():
    rng = np.random.default_rng(7)
    drift = embedding_drift(embeddings(rng, 500), embeddings(rng, 200) * 1.5, seed=0)
    assert drift.separability > 0.5
    assert drift.p_value < 1e-6


def test_the_same_seed_gives_the_same_result():
    rng = np.random.default_rng(8)
    reference, night = embeddings(rng, 100), embeddings(rng, 60)
    assert embedding_drift(reference, night, seed=1) == embedding_drift(reference, night, seed=1)
    assert embedding_drift(reference, night, seed=1) != embedding_drift(reference, night, seed=2)


@pytest.mark.parametrize(("rows", "is_measured"), [((19, 500), False), ((500, 19), False), ((20, 20), True)])
def test_too_few_images_are_not_tested(rows, is_measured):
    rng = np.random.default_rng(9)
    drift = embedding_drift(embeddings(rng, rows[0]), embeddings(rng, rows[1]), seed=0)
    assert (drift is not None) is is_measured


def test_a_dead_dimension_does_no_harm():
    reference, night = np.zeros((40, 3)), np.zeros((40, 3))
    drift = embedding_drift(reference, night, seed=0)
    assert (drift.separability, drift.p_value) == (0.0, pytest.approx(0.5, abs=0.51))
    assert embedding_drift(reference, night + 1, seed=0).separability == 1.0


def test_embeddings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"same D, got \(30, 3\) and \(30, 4\)"):
        embedding_drift(np.zeros((30, 3)), np.zeros((30, 4)), seed=0)
    with pytest.raises(InputError, match="finite night embeddings"):
        embedding_drift(np.zeros((30, 3)), np.full((30, 3), np.nan), seed=0)
