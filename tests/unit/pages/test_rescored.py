"""What another version would have said of nights: its page, the section of a night, the way there from the models."""

import json
import re
from datetime import UTC, datetime

import pytest

from nightglass.backfill.records import RescoredNight, RescoredScores
from nightglass.night.cost import NightCost
from nightglass.night.shadow_records import Agreement, Disagreement, Rate
from nightglass.pages.rescored_chart import draw_chart
from nightglass.records import ModelRef, Verb
from nightglass.storage import open_folder
from tests.unit.night.test_report import HOSTILE
from tests.unit.pages.models_story import MODEL, judge_nights
from tests.unit.pages.published import publish

NOW = datetime(2026, 8, 1, 6, tzinfo=UTC)
PAGE = "/collections/cells/models/7/nights"


def rescored(night, **changes):
    fields = {
        "collection": "cells", "night": night, "model_name": MODEL, "model_version": "7", "champion_name": MODEL,
        "champion_version": "1", "data_version": "9f2c", "scored": 1000, "both_anomalous": 8, "only_champion": 4,
        "only_rescored": 2, "left_out": 0, "agreement": 0.994, "rank_correlation": 0.912, "top_k": 20,
        "top_k_overlap": 15, "champion_decision": Verb.OK, "decision": Verb.OK, "sentence": f"Ok: {HOSTILE}",
        "compute_seconds": 4.2, "folder_url": "/nowhere",
    }  # fmt: skip
    return RescoredNight.model_validate(fields | changes)


@pytest.fixture
def told(ana, store):
    """Twelve nights, of which version 7 scored six again; on two it would have decided otherwise."""
    with store:
        judge_nights(store)
        rows = {night.night: night.result_sha256 for night in store.list_nights("cells")}
        for place, night in enumerate(sorted(rows)[:6]):
            more = {"both_anomalous": 300, "decision": Verb.RETRAIN, "left_out": 3} if place in {2, 3} else {}
            champion = {"champion_decision": Verb.OK}
            assert store.rescored.publish(rescored(night, **champion, **more), rows[night], NOW)
        store.rescored.publish(rescored("2026-07-02", model_version="12"), rows["2026-07-02"], NOW)
    return ana


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_shows_both_sides_of_every_night(told):
    answer = told.get(PAGE)
    assert answer.status_code == 200
    text = words(answer.text)
    assert "scored 6 nights again, 2026-07-01 to 2026-07-06, and would have decided otherwise on 2 of them" in text
    table = answer.text.partition('class="stacked rescored"')[2]
    assert re.findall(r"nights/(2026-07-\d\d)#versions", table) == [f"2026-07-0{day}" for day in range(6, 0, -1)]
    assert table.count('<tr role="row" class="otherwise">') == 2
    assert "3 images are gone" in words(table)
    assert "15 of 20" in words(table)
    assert "<script>alert" not in answer.text
    assert answer.text.count('<rect class="otherwise" x=') == 3  # two nights and the legend
    assert "version 12" in text


def test_it_is_for_those_who_may_read_and_for_versions_that_scored_again(told, client):
    assert told.get("/collections/cells/models/8/nights").status_code == 404
    assert told.get("/collections/cells/models/0/nights").status_code == 422
    assert told.get("/collections/cells/models/7%2Fx/nights").status_code in {404, 422}
    assert told.get("/collections/lids/models/7/nights").status_code == 404
    client.headers["X-Test-User"] = "olu"
    assert client.get(PAGE).status_code == 200
    assert client.get("/collections/lids/models/7/nights").status_code == 403
    del client.headers["X-Test-User"]
    assert client.get(PAGE).status_code == 401


def test_the_models_page_leads_there_and_tells_how(told):
    html = told.get("/collections/cells/models").text
    assert 'href="/collections/cells/models/7/nights"' in html
    text = words(html)
    assert "Version 7 would have decided otherwise on 2 of 6 nights" in text
    assert "Version 12 would have decided otherwise on 0 of 1 night" in text
    assert "backfill_cells" in text


@pytest.fixture
def night(home, store, ana):
    """A night that version 7 scored again."""
    folder = publish(home, store, lambda rank: f"cell-{rank}.png")
    with store:
        (row,) = store.list_nights("cells")
        store.rescored.publish(rescored(row.night, decision=Verb.WATCH, left_out=1), row.result_sha256, NOW)
    return folder


def write_scores(folder, row, **changes):
    rate = Rate(value=0.01, low=0.0, high=0.1)
    agreement = Agreement(
        scored=1000, both=8, only_champion=4, only_challenger=2, champion_rate=rate, challenger_rate=rate,
        agreement=0.994, rank_correlation=0.912,
    )  # fmt: skip
    differing = [
        Disagreement(
            path=f"{HOSTILE}.png", sha256="a" * 64, anomalous_for=side, champion_score=2.0, challenger_score=1.0
        )
        for side in ("champion", "challenger")
    ]
    scores = RescoredScores(
        collection="cells", night="2026-07-24", model=ModelRef(name=MODEL, version="7"),
        champion=ModelRef(name=MODEL, version="1"), data_version="9f2c", score_key="k", champion_result=row,
        champion_threshold=1.5, threshold=1.5, agreement=agreement, left_out=1, top_k=20, top_k_overlap=15,
        disagreements=differing, statistic_psi={}, compute_seconds=4.2,
    )  # fmt: skip
    content = scores.model_dump_json() if not changes else json.dumps(scores.model_dump(mode="json") | changes)
    open_folder(str(folder / "rescored/7")).write_bytes("rescored.json", content.encode())


def test_a_night_shows_what_other_versions_make_of_it(ana, night):
    write_scores(night, "r")
    html = ana.get("/collections/cells/nights/2026-07-24").text
    section = html.partition('id="versions"')[2].partition("</section>")[0]
    text = words(section)
    assert "With version 7 the night would have been" in text
    assert "10 of 1,000, 1.0" in text
    assert "15 of 20" in text
    assert "1, gone or of other content" in text
    assert section.count(f"/collections/cells/nights/2026-07-24/images/{'a' * 64}") == 2
    assert "anomalous at the time only" in text
    assert "anomalous for version 7 only" in text
    assert "<script>alert" not in html
    assert 'href="#versions"' in html


@pytest.mark.parametrize("damage", [None, {"collection": 7}, {"data_version": "others"}])
def test_scores_that_are_gone_or_damaged_take_only_the_images_away(ana, night, damage):
    if damage:
        write_scores(night, "r", **damage)
    answer = ana.get("/collections/cells/nights/2026-07-24")
    assert answer.status_code == 200
    assert "With" in answer.text.partition('id="versions"')[2]
    assert "They differ the most on" not in answer.text


def test_a_night_that_nobody_scored_again_has_no_such_section(ana, home, store):
    publish(home, store, lambda rank: f"cell-{rank}.png")
    assert 'id="versions"' not in ana.get("/collections/cells/nights/2026-07-24").text


def test_a_night_shows_what_it_cost(ana, night, store):
    page = "/collections/cells/nights/2026-07-24"
    assert "Compute time" not in ana.get(page).text
    with store:
        cost = NightCost(images=50_000, compute_seconds=900, price_per_hour=1.8, currency="<b>EUR</b>")
        store.costs.publish("cells", "2026-07-24", cost)
    text = ana.get(page).text
    assert "15 min 0 s for 50,000 images, 18.0 s per 1,000" in text
    assert "0.450 &lt;b&gt;EUR&lt;/b&gt;, 0.00900 &lt;b&gt;EUR&lt;/b&gt; per 1,000 images at 1.8 &lt;b&gt;EUR" in text


def test_the_chart_stays_within_its_frame():
    nights = [
        rescored("2026-07-01", both_anomalous=700, only_rescored=300),
        rescored("2026-07-02", scored=0, both_anomalous=0, only_champion=0, only_rescored=0),
        rescored("2026-07-03", both_anomalous=0, only_champion=0, only_rescored=0),
    ]
    chart = draw_chart(nights)
    heights = [(point.then, point.now) for point in chart.points]
    assert heights[1] == (None, None)
    assert heights[2] == (190.0, 190.0)
    assert 12.0 <= heights[0][1] < heights[0][0] < 190.0
    assert (chart.lines_then, chart.lines_now) == ([], [])  # the middle night parts them
    assert [label for _, label in chart.dates] == ["07-01", "07-02", "07-03"]
