"""How the top anomalies turned out, by the verdicts that are in effect."""

import pytest

from nightglass.night.judged import JudgedNight, judge_nights, measure_precision
from nightglass.night.report.verdicts import build_verdicts
from nightglass.records import ShownImage
from nightglass.retraining.verdicts import Verdict, VerdictsInEffect

SLICES = r"^(?P<camera>[^/]+)/"


def show(night, *paths):
    return [
        ShownImage(night=night, model_version="3", path=path, sha256=f"{abs(hash((night, path))):064x}"[-64:])
        for path in paths
    ]


def say(entry, word, image=None, *, night="2026-07-02", scope="image", slice_name=None):
    return Verdict(
        entry=entry, at=f"2026-07-09T00:00:{entry:02}.000000Z", night=image.night if image else night, scope=scope,
        path=image and image.path, sha256=image and image.sha256, slice=slice_name, verdict=word, by="anna",
        source="cli",
    )  # fmt: skip


def count(night, shown=20, defect=0, normal=0, unsure=0, in_bulk=0):
    return JudgedNight(night, "3", shown, defect, normal, unsure, in_bulk)


def test_each_night_counts_its_own_images_by_their_last_verdict():
    first, second = show("2026-07-01", "left/a.png", "left/b.png"), show("2026-07-02", "left/c.png", "right/d.png")
    verdicts = [
        say(1, "defect", first[0]),
        say(2, "normal", first[1]),
        say(3, "defect", first[1]),
        say(4, "unsure", second[0]),
    ]
    assert judge_nights([*first, *second], VerdictsInEffect(verdicts), SLICES) == [
        count("2026-07-02", shown=2, unsure=1),
        count("2026-07-01", shown=2, defect=2),
    ]


def test_a_word_on_a_slice_or_a_night_is_counted_apart_from_looks_at_images():
    shown = show("2026-07-02", "left/a.png", "left/b.png", "right/c.png", "right/d.png")
    own = [say(1, "defect", shown[0])]
    on_slice = [*own, say(2, "normal", scope="slice", slice_name="camera=left")]
    on_night = [*own, say(2, "normal", scope="night")]
    for verdicts, pattern, in_bulk in (
        (own, SLICES, 0),
        (on_slice, SLICES, 1),
        (on_slice, None, 0),
        (on_night, SLICES, 3),
    ):
        [judged] = judge_nights(shown, VerdictsInEffect(verdicts), pattern)
        assert judged == count("2026-07-02", shown=4, defect=1, in_bulk=in_bulk)
        assert (judged.open, judged.precision) == (3 - in_bulk, 1.0)


def test_precision_is_of_the_judged_only_and_has_an_exact_interval():
    assert measure_precision([count("2026-07-01", unsure=4)]) is None
    found = measure_precision(
        [count("2026-07-01", defect=6, normal=1, unsure=9), count("2026-07-02", defect=2, normal=1)]
    )
    assert found.value == pytest.approx(0.8)
    # Clopper and Pearson for 8 of 10, as their tables have it.
    assert (found.low, found.high) == (pytest.approx(0.4439, abs=1e-4), pytest.approx(0.9748, abs=1e-4))


def test_the_section_appears_with_the_first_verdict_and_names_only_nights_that_have_one():
    assert build_verdicts([count("2026-07-01")]) is None
    section = build_verdicts([count("2026-07-03"), count("2026-07-02", defect=3, normal=1), count("2026-07-01")])
    assert [night.night for night in section.nights] == ["2026-07-02"]
    text = section.sentence.replace("\u202f", " ")
    assert text.startswith("Of the 60 top anomalies of the last 3 nights, analysts judged 4: 3 are defects")
    assert "75.0 %" in text
    unsure = build_verdicts([count("2026-07-02", unsure=1)])
    assert unsure.sentence == "Analysts called none of the top anomalies of tonight a defect or normal by itself."
    assert build_verdicts([count("2026-07-02", in_bulk=20)]).nights[0].open == 0
