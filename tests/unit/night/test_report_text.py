"""How the report writes names and numbers."""

import pytest

from nightglass.night.report import figures
from nightglass.night.report.names import name_html, plain, without_credentials


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, figures.NOTHING),
        (float("nan"), figures.NOTHING),
        (0.0, "0"),
        (0.031234, "0.0312"),
        (12.48, "12.5"),
        (-1.5, "\u22121.50"),
        (48213.4, "48,213"),
        (1.2e-7, "1.20 \u00d7 10\u207b\u2077"),
    ],
)
def test_figures_have_three_significant_digits(value, text):
    assert figures.figure(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.0001, "<0.1 %"), (0.0351, "3.5 %"), (1.0, "100.0 %"), (None, figures.NOTHING)],
)
def test_percentages_have_one_decimal_and_no_false_zero(share, text):
    assert figures.percent(share).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-18, "p < 0.001"), (0.0123, "p = 0.012"), (0.678, "p = 0.68"), (1.0, "p > 0.999")]
)
def test_p_values_are_readable(value, text):
    assert figures.p_value(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.2, "0.2"), (50.0, "50"), (100.0, "100"), (1.25, "1.25")])
def test_limits_carry_no_needless_zeros(value, text):
    assert figures.mark(value) == text


def test_invisible_characters_are_written_out():
    assert plain("a\u202eb\x1b\n\u200b\U000e0041é") == "a\\u202eb\\x1b\\x0a\\u200b\\U000e0041é"
    assert name_html("<b>\x00") == '<bdi class="name">&lt;b&gt;<span class="escape">\\x00</span></bdi>'


@pytest.mark.parametrize("character", ["x", "\x00", "\U000e0041"])
def test_a_long_name_keeps_its_start_its_end_and_its_bounds(character):
    shown = plain(f"start{character * 5000}end.png", 120)
    assert shown.startswith("start")
    assert shown.endswith("end.png")
    assert "…" in shown
    assert len(shown) <= 121
    assert 'title="start' in name_html(f"start{character * 5000}end.png")


def test_addresses_lose_their_credentials():
    assert without_credentials("s3://key:secret@bucket/a") == "s3://bucket/a"
    assert without_credentials("file:///data/a@b") == "file:///data/a@b"
