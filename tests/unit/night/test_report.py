"""The report of a night: what it shows, what it leaves out, and what no folder can make it do."""

import base64
import hashlib
import random
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from nightglass.night.judged import JudgedNight
from nightglass.night.report import render_report
from nightglass.records import (
    Assessment,
    Baseline,
    Decision,
    DriftReport,
    EmbeddingDrift,
    ExpectationResult,
    Histogram,
    NeighborImage,
    NightSummary,
    QuarantinedImage,
    Reason,
    StatisticDrift,
    TopAnomaly,
    ValidationReport,
    Verb,
)
from nightglass.storage import open_folder

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='x'>{{ 7 * 7 }}$\\frac$\u202egnp\x00\n</style><!--\ud7ff]]>"
TREND = [
    NightSummary(
        collection="cells",
        night=f"2026-07-{day}",
        model_version="7" if day < 17 else "8",
        scored=0 if day == 15 else 1000,
        anomalous=0 if day == 15 else 12,
        quarantined=2,
        anomaly_rate=None if day == 15 else 0.012,
        decision=Verb.HOLD if day == 15 else Verb.OK,
        statistic_psi={} if day == 15 else {"brightness": 0.03},
        separability=None if day == 15 else 0.1,
    )
    for day in range(11, 24)
]


class Page(HTMLParser):
    """A parsed page: its elements, its ids, and the text inside each kind of element."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self._open = [], {}, []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        for tag in set(self._open):
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, tag, **attributes):
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


def draw_cell(seed, size=(120, 90)):
    """A grey cell with dark bars and a crack, ``(W, H)``."""
    noise = np.random.default_rng(seed)
    pixels = 120 + noise.normal(0, 6, size[::-1])
    pixels[:: size[1] // 3] -= 60
    pixels[:, seed % size[0]] += 80
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def make_anomalies(folder, number, name="line-1/cell_{}.png"):
    """Write the pictures of ``number`` anomalies and return their records."""
    (folder / "anomaly_maps").mkdir(parents=True, exist_ok=True)
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 120).astype(np.uint8), (90, 1)))
    anomalies = []
    for rank in range(1, number + 1):
        files = [f"anomaly_maps/{rank:04d}.{part}" for part in ("image.jpg", "map.png", "neighbor-1.jpg")]
        for file, picture in zip(files, (draw_cell(rank), ramp, draw_cell(99 + rank)), strict=True):
            picture.save(folder / file)
        near = NeighborImage(path=name.format("good"), distance=0.25 + rank / 1000, thumbnail=files[2])
        score = 4.0 - rank * 0.1
        anomalies.append(
            TopAnomaly(rank=rank, path=name.format(rank), sha256="0" * 64, image_score=score,
                       is_anomalous=score >= 1.5, image=files[0], anomaly_map=files[1], neighbors=[near])
        )  # fmt: skip
    return anomalies


def make_assessment(anomalies, text="", **changes):
    """A night that asks to retrain; ``text`` is added to everything that comes from outside."""
    statistic = StatisticDrift(
        name=f"brightness{text}", psi=0.41, p_value=1e-9, adjusted_p_value=5e-9, baseline_psi=0.03,
        bin_edges=[float(edge) for edge in range(96, 105)], reference_share=[0.1] * 10,
        night_share=[0.01] * 9 + [0.91], reference_median=100, night_median=131,
    )  # fmt: skip
    reason = Reason(code="anomaly_rate", verb=Verb.RETRAIN, text=f"the rate is 2.9 times the usual{text}",
                    value=0.035, baseline=0.012, ratio=2.9, p_value=2e-40, limit=2.0)  # fmt: skip
    usual = Reason(code="drift:embedding", verb=Verb.OK, text=f"nothing moved{text}", value=0.2, p_value=0.4, limit=0.3)
    embedding = EmbeddingDrift(separability=0.2, p_value=0.4, num_reference=500, num_night=500)
    quarantined = [QuarantinedImage(path=f"broken.png{text}", reason="truncated", detail=f"12 bytes{text}")]
    failed = ExpectationResult(name=f"brightness inside{text}", severity="warning", passed=False,
                               expected=f"95 %{text}", observed=f"61 %{text}")  # fmt: skip
    return Assessment(
        collection=f"cells{text}", night=f"2026-07-24{text}", images_url=f"s3://key:secret@plant/cells{text}",
        data_version="9f2c", model_name=f"nightglass-cells{text}", model_version=f"8{text}", num_neighbors=3,
        images=1007, ignored=4, quarantined=7, scored=1000, anomalous=35, anomaly_rate=0.035, image_threshold=1.5,
        false_alarm_rate=0.01, score_histogram=Histogram(edges=[0, 1, 2, 3, 4], counts=[900, 80, 15, 5]),
        quarantine_reasons={"truncated": 5, "link_outside_folder": 2}, quarantine_sample=quarantined,
        validation=ValidationReport(passed=True, expectations=[failed]),
        baseline=Baseline(source="nights", nights=12, scored=9000, anomalous=108, anomaly_rate=0.012,
                          statistic_psi={"brightness": 0.03}, separability=0.1),
        drift=DriftReport(statistics=[statistic], embedding=embedding),
        decision=Decision(verb=Verb.RETRAIN, sentence=f"Retrain: the rate has doubled{text}.", reasons=[usual, reason]),
        top_anomalies=anomalies,
    ).model_copy(update=changes)  # fmt: skip


@pytest.fixture
def night(tmp_path):
    """The score folder of an Airflow night with three anomalies."""
    assessment = make_assessment(make_anomalies(tmp_path / "night", 3))
    (tmp_path / "night/assessment.json").write_text(assessment.model_dump_json())
    return tmp_path / "night"


def headings(html):
    return [text.strip() for text in re.findall(r"<h2[^>]*>(.*?)</h2>", html)]


def test_a_night_tells_its_decision_and_every_section(night):
    html = render_report(open_folder(night), trend=TREND)
    assert headings(html) == [
        "Key numbers", "Why", "Top anomalies", "Image scores", "The last 14 nights", "Drift against the reference",
        "Validation of the data", "Quarantine", "Provenance",
    ]  # fmt: skip
    page = Page(html)
    assert page.text["h1"] == "The rate has doubled."
    assert page.all("section", class_="decision retrain")
    text = page.text["body"].replace("\u202f", " ")
    for shown in ("3.5 % of the scored; usual 1.2 %, 2.9\u00d7", "p < 0.001", "The image ends too early", "model 8"):
        assert shown in text
    assert "secret" not in html


def test_what_analysts_said_stands_beside_the_nights(night):
    judged = [JudgedNight("2026-07-24", f"8{HOSTILE}", shown=20, defect=9, normal=3, unsure=1)]
    html = render_report(open_folder(night), trend=TREND, judged=judged)
    assert "What analysts said of the top anomalies" in headings(html)
    page = Page(html)
    assert page.all("a", href="#verdicts")
    assert "75.0\u202f%" in page.text["body"]
    assert not page.all("script")


def test_a_held_night_without_scores_still_explains_itself(night):
    decision = Decision(
        verb=Verb.HOLD,
        sentence="Hold: validation failed.",
        reasons=[Reason(code="min_images", verb=Verb.HOLD, text="too few images", value=0, limit=50)],
    )
    held = make_assessment(
        [], scored=0, anomalous=0, anomaly_rate=0, decision=decision, drift=DriftReport(statistics=[], embedding=None),
        score_histogram=Histogram(edges=[0, 1], counts=[0]),
    )  # fmt: skip
    (night / "assessment.json").write_text(held.model_dump_json())
    html = render_report(open_folder(night), trend=TREND)
    assert headings(html) == [
        "Key numbers", "Why", "The last 14 nights", "Validation of the data", "Quarantine", "Provenance",
    ]  # fmt: skip
    assert Page(html).all("section", class_="decision hold")


@pytest.mark.parametrize("trend", [[], TREND])
def test_the_page_asks_no_host_and_allows_its_own_style_alone(night, trend):
    page = Page(render_report(open_folder(night), trend=trend))
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    digest = base64.b64encode(hashlib.sha256(page.text["style"].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert "url(http" not in page.text["style"]
    for tag, attributes in page.elements:
        assert tag not in {"script", "iframe", "object", "embed", "form", "base"}
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
        for key in ("src", "href", "srcset", "xlink:href"):
            assert attributes.get(key, "#").startswith(("data:", "#"))


def test_the_page_can_be_used_without_eyes_or_mouse(night):
    page = Page(render_report(open_folder(night), trend=TREND))
    assert all(image.get("alt") for image in page.all("img"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = " ".join(attributes.get("aria-labelledby", "") for _, attributes in page.elements).split()
    links = [link["href"].removeprefix("#") for link in page.all("a")]
    assert set(named + links) <= set(ids)
    assert len(page.all("svg", class_="chart", role="img")) == 5
    assert len(page.all("input", type="radio", name="map")) == 4


def test_names_from_outside_become_text_and_nothing_else(tmp_path):
    anomalies = make_anomalies(tmp_path, 2, name=f"cell_{{}}{HOSTILE.replace('{', '{{').replace('}', '}}')}")
    usual = make_assessment(anomalies)
    hostile = make_assessment(anomalies, text=HOSTILE)
    trend = [night.model_copy(update={"model_version": f"{night.night[-2:]}$\\frac$"}) for night in TREND]
    pages = []
    for assessment in (usual.model_copy(update={"top_anomalies": make_anomalies(tmp_path, 2)}), hostile):
        (tmp_path / "assessment.json").write_text(assessment.model_dump_json())
        pages.append(render_report(open_folder(tmp_path), trend=trend if assessment is hostile else TREND))
    html = pages[1]
    tags = [{tag for tag, _ in Page(text).elements} for text in pages]
    assert tags[1] == tags[0]
    assert not [key for _, attributes in Page(html).elements for key in attributes if key.startswith("on")]
    assert "<script>alert(1)</script>" in Page(html).text["h3"]
    assert "\\u202e" in Page(html).text["h1"]
    assert "49" not in Page(html).text["h1"]
    assert not set(html) & {"\u202e", "\x00", "\ud7ff"}


def test_a_large_night_stays_below_five_megabytes(tmp_path):
    anomaly = make_anomalies(tmp_path, 1, name='"' * 4000)[0]
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / anomaly.image, quality=95)
    Image.fromarray(noise[..., 0]).save(tmp_path / anomaly.anomaly_map)
    Image.fromarray(noise).save(tmp_path / anomaly.neighbors[0].thumbnail, quality=95)
    near = anomaly.neighbors * 50
    anomalies = [anomaly.model_copy(update={"rank": rank, "neighbors": near}) for rank in range(1, 201)]
    sample = [QuarantinedImage(path='"' * 4000, reason="corrupt", detail="&" * 4000)] * 200
    assessment = make_assessment(
        anomalies, quarantine_sample=sample, quarantined=90_000, quarantine_reasons={"corrupt": 90_000}
    )
    (tmp_path / "assessment.json").write_text(assessment.model_dump_json())
    html = render_report(open_folder(tmp_path), trend=TREND)
    assert len(html.encode()) < 5_000_000
    assert len(Page(html).all("li", class_="card entry")) == 60
    assert "140 more are in the score folder" in html
    assert "The first 200 of them" in html


def test_the_same_night_gives_the_same_bytes_wherever_it_lies(night, tmp_path):
    shutil.copytree(night, tmp_path / "copy")
    shuffled = random.Random(1).sample(TREND, len(TREND))
    once = render_report(open_folder(night), trend=TREND)
    assert once == render_report(open_folder(tmp_path / "copy"), trend=shuffled)


def test_tonights_own_stale_row_is_replaced(night):
    stale = TREND[0].model_copy(update={"night": "2026-07-24", "scored": 77_777})
    html = render_report(open_folder(night), trend=[*TREND, stale])
    assert "77,777" not in html
    assert "The last 14 nights" in html


@pytest.mark.parametrize(("name", "photos"), [("0002.image.jpg", 2), ("0002.map.png", 3)])
def test_a_missing_picture_leaves_a_placeholder_that_says_so(night, name, photos):
    (night / "anomaly_maps" / name).unlink()
    page = Page(render_report(open_folder(night)))
    assert len(page.all("p", class_="missing")) == 1
    assert f"anomaly_maps/{name}: expected" in page.text["p"]
    assert len(page.all("img", class_="photo")) == photos
