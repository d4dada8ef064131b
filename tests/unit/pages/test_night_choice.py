"""Which top anomalies the page of a night shows and in which order, asked for by its address."""

import re
from datetime import UTC, datetime

import pytest

from nightglass.retraining.verdicts import NewVerdict
from tests.unit.pages.published import cut_into_slices, publish

NIGHT = "/collections/cells/nights/2026-07-24"
PATHS = {1: "right/a.png", 2: "left/c.png", 3: "b.png", 4: "left/a.png"}


@pytest.fixture
def night(home, settings, store):
    """Four anomalies: of the left and right camera and of none; image 2 is a defect, and disputed."""
    cut_into_slices(settings)
    folder = publish(home, store, lambda rank: PATHS[rank])
    with store:
        for by, verdict in (("olu", "normal"), ("ana", "defect")):
            given = NewVerdict(
                night="2026-07-24", scope="image", path=PATHS[2], sha256=f"{2:064x}", verdict=verdict, by=by,
                source="page",
            )  # fmt: skip
            store.add_verdicts("cells", [given], datetime.now(UTC))
    return folder


def entries(client, **query):
    text = client.get(NIGHT, params=query).text
    return [(int(rank), "hidden" not in more) for rank, more in re.findall(r'data-rank="(\d+)"([^>]*)>', text)]


def shown(client, **query):
    return [rank for rank, is_shown in entries(client, **query) if is_shown]


@pytest.mark.parametrize(
    ("query", "ranks"),
    [
        ({}, [1, 2, 3, 4]),
        ({"sort": "lowest"}, [4, 3, 2, 1]),
        ({"sort": "path"}, [3, 4, 2, 1]),
        ({"sort": "slice"}, [2, 4, 1, 3]),
        ({"slice": "camera=left"}, [2, 4]),
        ({"slice": "camera=left", "sort": "path"}, [4, 2]),
        ({"slice": "camera=left", "verdict": "none", "sort": "path"}, [4]),
        ({"verdict": "defect"}, [2]),
        ({"verdict": "disputed"}, [2]),
        ({"verdict": "unsure"}, []),
        ({"slice": "camera=up"}, []),
    ],
)
def test_filter_and_order_work_together_and_without_a_script(ana, night, query, ranks):
    assert shown(ana, **query) == ranks
    assert sorted(rank for rank, _ in entries(ana, **query)) == [1, 2, 3, 4]  # the script may show the others again


@pytest.mark.parametrize("query", [{"sort": "size"}, {"verdict": "x"}, {"slice": "x" * 501}])
def test_what_cannot_be_chosen_is_told(ana, night, query):
    assert ana.get(NIGHT, params=query).status_code == 422


def test_the_choice_stays_chosen_and_a_hostile_one_stays_text(ana, night):
    text = ana.get(NIGHT, params={"sort": "path", "slice": "camera=left"}).text
    assert '<option value="path" selected>' in text
    assert re.search(r'<option value="camera=left" data-number="0" selected>', text)
    hostile = ana.get(NIGHT, params={"slice": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in hostile


def test_every_anomaly_links_to_its_own_page(ana, night):
    assert f'href="{NIGHT}/images/{4:064x}"' in ana.get(NIGHT).text


def test_a_collection_without_slices_offers_none(home, store, ana):
    publish(home, store, lambda rank: PATHS[rank])
    text = ana.get(NIGHT).text
    assert 'id="slice"' not in text
    assert 'value="slice"' not in text


def test_the_sections_tell_every_statistic_and_where_the_runs_are(ana, night):
    text = ana.get(NIGHT).text
    for heading in ("drift", "validation", "quarantine", "provenance", "runs"):
        assert f'href="#{heading}"' in text
    assert "p-value, corrected" in text
    assert "nightglass/cells" in text
    assert "key:secret" not in text
