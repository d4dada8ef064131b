"""The overview: charts against what was usual, files that are told as broken, and what to do first."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from nightglass.pages.sparkline import HEIGHT, draw_drift, draw_rates
from nightglass.records import Verb
from nightglass.store import NightMeasures
from tests.unit.pages.published import publish

FIRST = date(2026, 7, 1)


def measure(day, rate, usual=0.01, psi=0.05, usual_psi=0.03):
    night = (FIRST + timedelta(days=day)).isoformat()
    return NightMeasures(
        night=night, decision=Verb.OK, anomaly_rate=rate, baseline_anomaly_rate=usual, psi=psi, baseline_psi=usual_psi
    )


def heights(points):
    return [float(point.split(",")[1]) for point in points.split(" ")]


def test_rates_stand_against_the_usual_rate_and_its_double():
    drawn = draw_rates([measure(0, 0.01), measure(1, 0.02), measure(2, 0.04)], ratio=2.0)
    (line,), (usual,), (limit,) = drawn.lines, drawn.usual, drawn.limits
    ground, top = HEIGHT - 5.0, 5.0
    quarter = (ground - top) / 4
    assert heights(line) == pytest.approx([ground - quarter, ground - 2 * quarter, top], abs=0.05)
    assert heights(usual) == pytest.approx([ground - quarter] * 3)
    assert heights(limit) == pytest.approx([ground - 2 * quarter] * 3)
    assert drawn.highest == 0.04
    (band,) = drawn.band
    assert sorted(set(heights(band))) == pytest.approx([ground - 2 * quarter, ground - quarter])


def test_nights_without_a_value_or_a_baseline_leave_gaps():
    nights = [measure(0, 0.01, usual=None), measure(1, 0.02), measure(2, None), measure(3, 0.02), measure(4, 0.01)]
    drawn = draw_rates(nights, ratio=2.0)
    assert [len(heights(line)) for line in drawn.lines] == [2, 2]
    assert [len(heights(line)) for line in drawn.usual] == [4]
    assert [len(heights(line)) for line in drawn.band] == [8]
    assert drawn.dots[2].y == HEIGHT - 5.0


def test_a_limit_that_no_night_reached_is_still_in_the_chart():
    drawn = draw_drift([measure(0, 0.0, psi=0.05), measure(1, 0.0, psi=0.1)], floor=0.2, ratio=2.0)
    assert heights(drawn.limits[0]) == [5.0, 5.0]
    assert min(heights(drawn.lines[0])) > 20


def test_a_night_far_beyond_the_limit_leaves_the_others_readable():
    drawn = draw_drift([measure(0, 0.0, psi=0.2), measure(1, 0.0, psi=9.0)], floor=0.2, ratio=2.0)
    assert drawn.highest == 9.0
    ground, top = HEIGHT - 5.0, 5.0
    assert heights(drawn.lines[0]) == pytest.approx([ground - (ground - top) / 3, top], abs=0.05)


def test_drift_is_too_much_at_twice_the_usual_and_never_below_the_limit_of_the_file():
    drawn = draw_drift([measure(0, 0.0, psi=0.8, usual_psi=0.03), measure(1, 0.0, usual_psi=0.2)], floor=0.2, ratio=2.0)
    ground, top = HEIGHT - 5.0, 5.0
    assert heights(drawn.limits[0]) == pytest.approx([ground - (ground - top) / 4, (ground + top) / 2], abs=0.05)


def test_nothing_measured_draws_nothing():
    drawn = draw_drift([measure(0, None, psi=None, usual_psi=None)], floor=0.2, ratio=2.0)
    assert (drawn.lines, drawn.usual, drawn.band, drawn.highest) == ([], [], [], 0.0)


def test_a_row_has_both_charts_with_the_nights_own_baselines(home, store, ana):
    for day in range(22, 25):
        publish(home, store, lambda rank: f"{rank}.png", night=f"2026-07-{day}")
    text = ana.get("/").text
    assert text.count('<svg viewBox="0 0 160 48"') == 2
    assert "Anomaly rate of the last 3 nights, highest 3.5\u202f%" in text
    assert "Drift of the last 3 nights as largest PSI, highest 0.410" in text
    assert len(re.findall(r'<polyline class="usual"', text)) == 2
    assert 'href="/collections/cells/nights/2026-07-24"' in text
    assert 'href="/search"' in text


def test_whoever_has_no_night_yet_sees_what_to_do(ana, settings):
    text = ana.get("/").text
    assert "nightglass fit" in text
    assert "nightly_lids" in text
    for name in ("cells", "lids"):
        (settings.collections_dir / f"{name}.yaml").unlink()
    assert "template.yaml.example" in ana.get("/").text


def test_two_files_with_one_name_are_told(ana, settings, home, store):
    (settings.collections_dir / "other.yaml").write_text("name: cells\nimages: '/x/{night}'\nschedule: null\n")
    text = ana.get("/").text
    assert "expected one file a collection, got &#39;cells&#39; in cells.yaml too" in text
    assert "other.yaml" in text
    ana.headers["X-Test-User"] = "eve"
    assert "other.yaml" not in ana.get("/").text


def test_open_verdicts_count_what_no_word_covers(home, store, ana):
    publish(home, store, lambda rank: f"{rank}.png", at=datetime.now(UTC))
    assert "4 of 4 top anomalies" in ana.get("/").text
    sent = {"X-Nightglass": "1", "Accept": "application/json"}
    body = {"rank": 1, "sha256": f"{1:064x}", "verdict": "defect"}
    answer = ana.post("/collections/cells/nights/2026-07-24/verdicts", json=body, headers=sent)
    assert "3 of 4 top anomalies" in ana.get("/").text
    undo = {"entry": answer.json()["undo"]["entry"]}
    ana.post("/collections/cells/nights/2026-07-24/verdicts/undo", json=undo, headers=sent)
    assert "4 of 4 top anomalies" in ana.get("/").text
