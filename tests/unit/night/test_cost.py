"""What a night cost: read from its summary, told in words."""

import json

import pytest

from nightglass.errors import ConfigurationError, InputError
from nightglass.night.cost import NightCost, read_cost
from nightglass.night.report import render_report
from nightglass.night.report.cost import build_cost, tell_money, tell_seconds
from nightglass.settings import read_settings
from nightglass.storage import open_folder
from tests.unit.night.test_report import make_assessment


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4321, "0.432 s"), (9.99, "9.99 s"), (59.4, "59 s"), (425, "7 min 5 s"), (3599.6, "1 h 0 min"),
     (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)  # fmt: skip
def test_durations_are_told_as_people_say_them(seconds, told):
    assert tell_seconds(seconds) == told


def test_money_keeps_the_digits_that_matter():
    assert tell_money(0.000862, "EUR") == "0.000862 EUR"
    assert tell_money(1234.5, "EUR") == "1,234.50 EUR"


def test_a_summary_says_what_it_cost(tmp_path, monkeypatch):
    folder = open_folder(str(tmp_path))
    settings = read_settings()
    assert read_cost(folder, settings) is None
    (tmp_path / "summary.json").write_text(json.dumps({"images": 10, "seconds": 3}))
    assert read_cost(folder, settings) is None
    (tmp_path / "summary.json").write_text(json.dumps({"images": 1000, "compute_seconds": 36.0}))
    monkeypatch.delenv("NIGHTGLASS_PRICE_PER_HOUR", raising=False)
    free = read_cost(folder, read_settings())
    assert (free.compute_seconds, free.cost) == (36.0, None)
    assert build_cost(free) == [("Compute time", "36 s for 1,000 images, 36.0 s per 1,000")]
    monkeypatch.setenv("NIGHTGLASS_PRICE_PER_HOUR", "2.5")
    monkeypatch.setenv("NIGHTGLASS_CURRENCY", "EUR")
    priced = read_cost(folder, read_settings())
    assert priced.cost == pytest.approx(0.025)
    assert build_cost(priced)[1] == ("Cost", "0.0250 EUR, 0.0250 EUR per 1,000 images at 2.5 EUR an hour")
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(InputError, match=r"summary\.json"):
        read_cost(folder, settings)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_a_price_is_a_number(monkeypatch, value):
    monkeypatch.setenv("NIGHTGLASS_PRICE_PER_HOUR", value)
    with pytest.raises(ConfigurationError, match="NIGHTGLASS_PRICE_PER_HOUR"):
        read_settings()


def test_the_report_tells_it(tmp_path):
    (tmp_path / "assessment.json").write_text(make_assessment([]).model_dump_json())
    cost = NightCost(images=2000, compute_seconds=90.0, price_per_hour=1.0, currency="<i>EUR</i>")
    html = render_report(open_folder(str(tmp_path)), cost=cost)
    assert "1 min 30 s for 2,000 images, 45.0 s per 1,000" in html
    assert "&lt;i&gt;EUR&lt;/i&gt;" in html
    assert "<i>EUR" not in html
    assert "Compute time" not in render_report(open_folder(str(tmp_path)))
    assert build_cost(cost.model_copy(update={"images": 0})) == []
