"""What the report shows of a challenger that shadowed the champion, and when it shows nothing."""

import json

import numpy as np
import pytest
from PIL import Image

from nightglass.night.report import render_report
from nightglass.night.shadow_records import Agreement, Disagreement, Rate, ShadowNight
from nightglass.records import Decision, ModelRef, Verb
from nightglass.storage import open_folder
from tests.unit.night.test_report import HOSTILE, Page, draw_cell, make_anomalies, make_assessment


def make_shadow(folder, differences=3, text="", **changes):
    """Write pictures of differences and return what the shadow saw; ``text`` is added to what comes from outside."""
    (folder / "shadow").mkdir(parents=True, exist_ok=True)
    disagreements = []
    for number in range(differences):
        names = [f"shadow/{number}.jpg", f"shadow/{number}.png"]
        draw_cell(number).save(folder / names[0])
        draw_cell(number).save(folder / names[1])
        side = "champion" if number % 2 else "challenger"
        disagreements.append(
            Disagreement(path=f"line/{number}.png{text}", sha256="0" * 64, anomalous_for=side, champion_score=1.2,
                         challenger_score=7.5, image=names[0], anomaly_map=names[1])
        )  # fmt: skip
    both, champion = 20, (differences + 1) // 2
    agreement = Agreement(
        scored=1000, both=both, only_champion=champion, only_challenger=differences - champion,
        champion_rate=Rate(value=0.035, low=0.025, high=0.048),
        challenger_rate=Rate(value=0.021, low=0.013, high=0.032), agreement=0.986, rank_correlation=0.912,
    )  # fmt: skip
    sentence = f"Ok: 2.1 % of 1000 images are anomalous; no statistic drifted{text}."
    night = ShadowNight(
        collection="cells", night="2026-07-24", run="manual__1", data_version="9f2c", score_key="k",
        champion=ModelRef(name="nightglass-cells", version="8"),
        challenger=ModelRef(name="nightglass-cells", version="9"),
        champion_result="r", champion_threshold=1.5, challenger_threshold=2.5, agreement=agreement,
        champion_decision=Verb.RETRAIN, decision=Decision(verb=Verb.OK, sentence=sentence, reasons=[]),
        statistic_psi={}, disagreements=disagreements, seen_before=1, nights_wanted=3,
    )  # fmt: skip
    return night.model_copy(update=changes)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "assessment.json").write_text(make_assessment(make_anomalies(tmp_path, 1)).model_dump_json())
    return tmp_path


def render(folder, shadow):
    (folder / "shadow.json").write_text(shadow.model_dump_json())
    return render_report(open_folder(folder))


def test_both_models_stand_side_by_side(folder):
    page = Page(render(folder, make_shadow(folder)))
    assert page.all("section", class_="shadow")
    assert page.all("a", href="#shadow")
    text = "".join(page.text["section"].split())
    for shown in (
        "2 of 3 nights seen",
        "With the challenger the night would have been ok 2.1 % of 1000 images are anomalous",
        "Champion, version 8 3.5 % 22 anomalous; 95 % interval 2.5 % to 4.8 %",
        "Challenger, version 9 2.1 % 21 anomalous; 95 % interval 1.3 % to 3.2 %",
        "Called alike 98.6 % 997 of 1,000 images",
        "Rank correlation 0.912",
        "Champion: anomalous 20 both 2 only the champion",
        "Champion: not 1 only the challenger 977 neither",
        "All 3 images that one model alone finds anomalous",
        "Champion 1.20 threshold 1.50, 0.300 below it",
        "Challenger 7.50 threshold 2.50, 5.00 above it",
    ):
        assert shown.replace(" ", "") in text
    assert len(page.all("li", class_="card entry difference")) == 3
    # What was published stays.
    assert page.text["h1"] == "The rate has doubled."


@pytest.mark.parametrize(
    "changes",
    [
        {"data_version": "another"},
        {"champion": ModelRef(name="nightglass-cells", version="7")},
        {"champion": ModelRef(name="nightglass-other", version="8")},
    ],
)
def test_what_is_not_about_this_night_and_its_model_is_not_shown(folder, changes):
    assert 'id="shadow"' not in render(folder, make_shadow(folder, **changes))


def test_without_a_shadow_there_is_no_section(folder):
    assert 'id="shadow"' not in render_report(open_folder(folder))


def test_names_from_outside_become_text_and_nothing_else(folder):
    pages = [render(folder, make_shadow(folder, text=text)) for text in ("", HOSTILE)]
    tags = [{tag for tag, _ in Page(html).elements} for html in pages]
    assert tags[1] == tags[0]
    page = Page(pages[1])
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on") or key == "style"]
    assert "<script>alert(1)</script>" in page.text["h4"]
    assert not set(pages[1]) & {"\u202e", "\x00", "\ud7ff"}
    assert all(image.get("alt") for image in page.all("img"))


def test_models_that_agree_on_everything_have_no_pictures(folder):
    page = Page(render(folder, make_shadow(folder, differences=0)))
    assert "Both models call every image alike." in page.text["section"]
    assert not page.all("li", class_="card entry difference")
    assert not page.all("td", class_="differs")


def test_more_differences_than_are_shown_are_counted(folder):
    shadow = make_shadow(folder, differences=12)
    many = shadow.agreement.model_copy(update={"only_champion": 300})
    assert "The 12 largest differences of 306 images that one model alone" in render(
        folder, shadow.model_copy(update={"agreement": many})
    )


def test_a_missing_picture_leaves_a_placeholder_that_says_so(folder):
    shadow = make_shadow(folder)
    (folder / "shadow/1.jpg").unlink()
    page = Page(render(folder, shadow))
    assert len(page.all("p", class_="missing")) == 1
    assert "shadow/1.jpg: expected" in page.text["p"]


def test_large_pictures_stay_within_the_reports_size(tmp_path):
    anomaly = make_anomalies(tmp_path, 1, name='"' * 4000)[0]
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    for name, pixels in ((anomaly.image, noise), (anomaly.anomaly_map, noise[..., 0])):
        Image.fromarray(pixels).save(tmp_path / name)
    anomalies = [anomaly.model_copy(update={"rank": rank}) for rank in range(1, 61)]
    (tmp_path / "assessment.json").write_text(make_assessment(anomalies).model_dump_json())
    shadow = make_shadow(tmp_path, differences=12, text='"' * 4000)
    for number in range(12):
        Image.fromarray(noise).save(tmp_path / f"shadow/{number}.jpg", quality=95)
        Image.fromarray(noise[..., 0]).save(tmp_path / f"shadow/{number}.png")
    html = render(tmp_path, shadow)
    assert len(Page(html).all("img", class_="photo")) == 72
    assert len(html.encode()) < 5_000_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (json.dumps({"night": 1}), "shadow.json: collection: Field required"),
        ("<img src=x>", "shadow.json: expected JSON"),
        ("", "shadow.json: expected JSON"),
    ],
)
def test_a_file_that_cannot_be_read_fails_no_night_and_is_named(folder, content, problem):
    (folder / "shadow.json").write_text(content)
    html = render_report(open_folder(folder))
    page = Page(html)
    assert page.text["h1"] == "The rate has doubled."
    assert "What a challenger made of this night is not shown." in page.text["section"]
    assert problem in page.text["section"]
    assert not page.all("table", class_="agreement")
    assert not page.all("li", class_="card entry difference")
    assert "<img src=x" not in html
