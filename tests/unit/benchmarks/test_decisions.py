from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from benchmarks.data import Cell
from benchmarks.decisions_replay import DEFECTS, GOOD, POLY
from benchmarks.decisions_replay import draw_nights as draw_cells
from benchmarks.decisions_scenarios import FALSE, SLOW, SUDDEN, check, upper_bound
from benchmarks.decisions_world import SCORE, Change, World, draw_embedding_tests, draw_nights, rate_spread_of
from benchmarks.decisions_years import Job, count_asking, nights_until_caught, share_within

from nightglass.collection_limits import DecisionOptions

WORLD = World(2_000, 0.01, reference=1131)
JOB = Job(WORLD, Change(), 1, 20, 0, DecisionOptions())


def draw(world=WORLD, change=None, nights=400):
    return draw_nights(world, change or Change(), nights, np.random.default_rng(0))


def test_drawn_nights_have_their_size_rate_and_bins():
    nights = draw()
    assert nights.anomalous.mean() / WORLD.images == pytest.approx(0.01, rel=0.05)
    for name, counts in nights.counts.items():
        assert (counts.sum(axis=1) == WORLD.images).all()
        usual = np.asarray(nights.reference[name].counts) / WORLD.reference
        assert counts.mean(axis=0) / WORLD.images == pytest.approx(usual, abs=0.03)


def test_uneven_nights_vary_more_than_chance():
    even, uneven = draw(), draw(replace(WORLD, rate_spread=rate_spread_of(0.2), shift_spread=0.2))
    assert uneven.rates.std() / uneven.rates.mean() == pytest.approx(0.2, abs=0.03)
    assert uneven.rates.mean() == pytest.approx(0.01, rel=0.05)
    assert uneven.anomalous.var() > 1.5 * even.anomalous.var()
    assert uneven.counts["contrast"][:, 0].var() > 5 * even.counts["contrast"][:, 0].var()


def test_a_change_begins_on_its_night_and_grows():
    nights = draw(change=Change(5, rate_ratio=2.0, rate_growth=0.1, brightness_growth=10.0), nights=10)
    assert nights.rates[:5] == pytest.approx(0.01)
    assert nights.rates[5:7] == pytest.approx([0.01 * 2 * 1.1, 0.01 * 2 * 1.1**2])
    brightest = nights.counts["brightness"][:, -1]
    assert brightest[:5].max() < brightest[5] < brightest[7]
    assert nights.counts["contrast"][:, -1].std() < 40


def test_anomalous_images_have_the_highest_scores():
    usual, many = draw(nights=50), draw(replace(WORLD, rate=0.5), nights=50)
    assert many.counts[SCORE][:, -1].mean() == pytest.approx(
        0.5 * 2_000 + 0.5 * usual.counts[SCORE][:, -1].mean(), rel=0.1
    )


def test_the_embedding_test_is_the_real_one():
    tests = draw_embedding_tests(60, 0.0, 3, seed=1)
    assert [(test.num_reference, test.num_night) for test in tests] == [(500, 60)] * 3
    moved = draw_embedding_tests(200, 3.0, 3, seed=1)
    assert min(test.separability for test in moved) > max(test.separability for test in tests)


def test_a_job_gives_the_same_years_again():
    assert count_asking(JOB) == count_asking(JOB)
    assert count_asking(JOB).retrains == 0


def test_a_flood_of_anomalies_is_caught_on_its_first_night():
    assert nights_until_caught(replace(JOB, change=Change(10, rate_ratio=20.0), runs=2)) == [1, 1]
    assert nights_until_caught(JOB) == [None]


def test_the_embedding_test_is_heard():
    (far,) = draw_embedding_tests(500, 5.0, 1, seed=0)
    assert count_asking(replace(JOB, nights=5, embeddings=(far,))).codes == {"drift:embedding": 5}


def test_share_within_counts_those_never_caught():
    assert share_within([1, 3, None, 2], 2) == 0.5


def test_the_upper_bound_of_no_event_is_three_over_the_years():
    assert upper_bound(0, 10) == pytest.approx(0.2996, abs=1e-4)


def results(worst=0.5, caught=0.96, slow=1.0):
    columns = ("even_500", "even_1131", "uneven_500", "uneven_1131")
    return {
        FALSE: [dict.fromkeys(columns, 0.1), dict.fromkeys(columns, worst)],
        SUDDEN: [{"images": 2_000, "rate": 0.01, "ratio": 2.5, "within_2": caught}],
        SLOW: [{"images": 2_000, "rate": 0.01, "caught": slow}],
    }


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (results(), [True, True, True]),
        (results(worst=1.01), [False, True, True]),
        (results(caught=0.94), [True, False, True]),
        (results(slow=0.9), [True, True, False]),
    ],
)
def test_every_limit_can_be_missed(found, kept):
    assert list(check(found).values()) == kept


def test_no_cell_is_in_two_nights_of_the_replay(tmp_path):
    cells = [
        Cell(tmp_path / f"{label}-{kind}-{number}.png", label, kind)
        for label in ("normal", "defect")
        for kind in ("mono", "poly")
        for number in range(450)
    ]
    train, nights = draw_cells(cells)
    used = [cell.file for cell in chain(train, *nights)]
    assert len(used) == len(set(used))
    assert {(cell.label, cell.cell_type) for cell in train} == {("normal", "mono")}
    assert [len(night) for night in nights] == [GOOD + DEFECTS] * len(POLY)
    assert [sum(cell.cell_type == "poly" for cell in night) for night in nights] == list(POLY)
