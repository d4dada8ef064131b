"""The page of a collection's models: who was champion when, every version, and what it asks MLflow."""

import itertools
import logging
import re
import shutil
from datetime import UTC, datetime

import pytest
from filelock import FileLock

from nightglass.night.shadow_records import NewShadow
from nightglass.pages.model_facts import gather_versions
from nightglass.pages.registered import Registered, read_registered
from nightglass.pages.timeline import draw_timeline
from nightglass.registry import Registry
from nightglass.store import VersionNights
from nightglass.version_details import VersionDetails, read_details
from tests.unit.pages.models_story import (
    MODEL,
    change_champions,
    describe,
    judge_nights,
    register,
    tell_story,
    write_detector,
)

PAGE = "/collections/cells/models"


@pytest.fixture
def told(ana, store, home):
    """The story without any MLflow."""
    tell_story(store, home)
    return ana


@pytest.fixture
def registered(told, home, empty_mlflow):
    """The story with every version in MLflow."""
    register(home, empty_mlflow)
    return told


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def rows(html, table):
    body = re.search(rf'<table class="[^"]*{table}[^"]*".*?<tbody[^>]*>(.*?)</tbody>', html, re.DOTALL)[1]
    return [words(row).strip() for row in body.split("</tr>") if row.strip()]


def test_a_collection_without_any_version_says_what_to_do(ana):
    html = ana.get(PAGE).text
    assert "No champion yet" in html
    assert "nightglass fit" in html
    assert "data-ask" not in html
    assert "<dialog" not in html


def test_the_page_tells_who_is_champion_since_when_and_why(told):
    html = told.get(PAGE).text
    assert "Version 4 is the champion" in html
    assert 'data-champion="4"' in html
    assert "Promoted by automatic at 2026-07-10 04:00" in words(html).replace(" : ", ": ")
    assert [int(number) for number in re.findall(r"<strong>Version (\d)</strong>", html)] == [4, 1, 2, 1]
    assert "by ana , 2026-07-07 04:00 to 2026-07-10 04:00 , run run-1" in words(html)


def test_what_people_and_folders_wrote_is_text(told):
    for path in (PAGE, f"{PAGE}/4/card", f"{PAGE}/3/card", f"{PAGE}/compare?left=2&right=3"):
        html = told.get(path).text
        assert "<img" not in html, path
        assert "\u202e" not in html, path
        assert "49" not in re.findall(r"reason[^<]*", html), path
        assert html.count("<script") == (path == PAGE), path
    assert "\\u202e{{ 7 * 7 }}" in told.get(PAGE).text


def test_every_version_has_a_row_with_what_came_of_it(told):
    four, three, two, one = rows(told.get(PAGE).text, "versions")
    assert four.startswith("Version 4 champion")
    assert three.startswith("Version 3 refused")
    assert "2 of 11 failed" in three
    assert "Ranks labelled defects" in three
    assert two.startswith("Version 2 was champion")
    assert "all 11 passed" in two
    assert "olu" in two
    assert one.startswith("Version 1 was champion")
    assert "none known" in one
    # 1 judged the days 0 to 3 and 6 to 8: 7 nights of 1,000 images, one of which had 350 anomalies.
    assert re.search(r"7 5\.9\W%", one), one
    assert re.search(r"2 1\.0\W%", two), two


def test_mlflow_adds_when_a_version_was_fitted_and_how(registered):
    html = registered.get(PAGE).text
    five, _, _, two, one = rows(html, "versions")
    assert five.startswith("Version 5 registered")
    assert datetime.now(UTC).strftime("%Y-%m-%d") in five
    assert "data 555555555555" in five
    assert "label head, 40 defects 200 good images, int8" in two
    assert "good images only 100 good images, int8" in one
    assert "none: fitted by hand" in one
    assert "MLflow" not in html


def test_a_broken_mlflow_leaves_what_the_database_knows(told, home, caplog):
    (home / "mlflow.db").write_text("this is no database")
    with caplog.at_level(logging.ERROR, logger="nightglass"):
        html = told.get(PAGE).text
    assert "MLflow does not answer" in html
    assert len(rows(html, "versions")) == 4
    assert "this is no database" not in html
    assert MODEL in caplog.text


def test_an_mlflow_that_cannot_even_be_asked_leaves_the_page(told, monkeypatch, caplog):
    monkeypatch.setenv("NIGHTGLASS_TRACKING_URL", "mysql://nobody@127.0.0.1:1/mlflow")  # its driver is not installed
    with caplog.at_level(logging.ERROR, logger="nightglass"):
        html = told.get(PAGE).text
    assert "MLflow does not answer" in html
    assert len(rows(html, "versions")) == 4
    assert "MySQLdb" in caplog.text


def test_a_version_that_mlflow_once_told_stays_while_it_is_down(registered, home, settings):
    assert len(read_registered(MODEL, settings).versions) == 5
    (home / "mlflow.db").write_bytes(b"no database" * 1000)
    found = read_registered(MODEL, settings)
    assert len(found.versions) == 5
    assert found.problem


def test_a_description_is_fetched_where_there_is_no_copy_and_read_once(home, settings, empty_mlflow, tmp_path):
    home.mkdir()
    shutil.copy(empty_mlflow, home / "mlflow.db")
    described = describe("1")
    folder = write_detector(tmp_path / "detector", described)
    tags = {"fingerprint": described.fingerprint, "data_version": "x"}
    Registry.open(settings).register_detector(folder, name=MODEL, params={}, metrics={}, tags=tags)
    (found,) = read_details(MODEL, settings, 10)
    assert (found.version, found.description) == ("1", described)
    shutil.rmtree(home / "mlartifacts")
    (again,) = read_details(MODEL, settings, 10)
    assert again.description == described


def test_a_copy_of_another_detector_is_not_believed(home, settings, empty_mlflow):
    register(home, empty_mlflow, versions=2, seed=77)
    copy = home / "models" / MODEL / "1/abcdef"
    shutil.rmtree(copy)
    write_detector(copy, describe("1", num_neighbors=50))
    _, one = read_details(MODEL, settings, 10)
    assert one.description is None


def test_no_page_begins_an_mlflow(told, home):
    assert told.get(PAGE).status_code == 200
    assert not (home / "mlflow.db").exists()


def test_a_shadow_that_goes_on_is_told(told, store):
    with store:
        shadow = NewShadow(
            collection="cells", run="run-5", model_name=MODEL, champion_version="4", challenger_version="5",
            challenger_fingerprint="0" * 64, nights_wanted=7, max_days=30,
        )  # fmt: skip
        store.shadows.begin(shadow, datetime(2026, 7, 12, tzinfo=UTC))
    html = told.get(PAGE).text
    assert "Version 5 shadows the champion" in html
    assert "0 of 7 nights so far" in html


def test_the_chart_has_every_night_reign_and_change(store, settings):
    with store:
        judge_nights(store)
        change_champions(store)
        nights, history = store.list_nights("cells", 100)[::-1], store.promotions_of_model(MODEL)
    drawn = draw_timeline(nights, history)
    assert [(reign.version, reign.nights) for reign in drawn.reigns] == [("1", 4), ("2", 2), ("1", 3), ("4", 3)]
    # The first version's promotion is older than the first night; each other change stands where its reign begins.
    assert [change.events[-1].version for change in drawn.changes] == ["2", "1", "4"]
    assert [change.x for change in drawn.changes] == [reign.x for reign in drawn.reigns[1:]]
    worst = min(drawn.points, key=lambda point: point.y)
    assert worst.night.night == "2026-07-04"
    assert all(40 <= point.y <= 196 for point in drawn.points)
    assert next(text for _, text in drawn.rates) == "0"
    assert len(drawn.lines) == 1


def test_a_night_that_was_scored_again_stays_on_its_side_of_a_rollback(store):
    with store:
        judge_nights(store, number=7)  # days 0 to 6; 6 is judged by version 1 again
        change_champions(store)
        nights, history = store.list_nights("cells", 100)[::-1], store.promotions_of_model(MODEL)
    back = next(change for change in draw_timeline(nights, history).changes if "rolled_back" in change.kinds)
    assert back.x == draw_timeline(nights, history).reigns[2].x


def test_changes_between_the_same_nights_are_one_mark(store):
    with store:
        judge_nights(store, number=3)
        change_champions(store)
        nights, history = store.list_nights("cells", 100)[::-1], store.promotions_of_model(MODEL)
    (change,) = draw_timeline(nights, history).changes
    assert [event.version for event in change.events] == ["2", "1", "4"]
    assert change.kinds == {"promoted", "rolled_back"}


@pytest.mark.parametrize("number", [1, 2, 100])
def test_any_number_of_nights_has_a_chart_with_room_for_its_dates(ana, store, number):
    with store:
        judge_nights(store, number=number)
        change_champions(store)
        nights = store.list_nights("cells", 100)[::-1]
    drawn = draw_timeline(nights, [])
    places = [x for x, _ in drawn.dates]
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(places))
    html = ana.get(PAGE).text
    assert html.count('<g class="mark') == number
    assert html.count("/nights/2026-") == number + 1  # and the one in the navigation


def test_a_version_judges_only_its_own_models_nights(store):
    with store:
        judge_nights(store)
        assert store.nights_of_versions("cells", MODEL)["2"].nights == 2
        assert store.nights_of_versions("cells", "another") == {}
        assert store.nights_of_versions("lids", MODEL) == {}


def test_whoever_writes_to_mlflow_keeps_no_page_waiting(registered, home, settings, monkeypatch):
    monkeypatch.setattr("nightglass.pages.registered._FIRST_SECONDS", 0.2)
    monkeypatch.setattr("nightglass.pages.registered._SECONDS", 0.2)
    with FileLock(home / "mlflow.db.lock"):
        html = registered.get(PAGE).text
        assert "MLflow has not answered yet" in html
        assert "data-again" in html  # the page's script looks again
        assert len(rows(html, "versions")) == 4
    monkeypatch.undo()
    monkeypatch.setenv("NIGHTGLASS_HOME", str(home))
    monkeypatch.setenv("NIGHTGLASS_COLLECTIONS_DIR", str(settings.collections_dir))
    html = registered.get(PAGE).text
    assert "data-again" not in html
    assert len(rows(html, "versions")) == 5


@pytest.mark.parametrize(
    ("tags", "told"),
    [({"retraining": "run-9"}, "not concluded yet"), ({}, "none: fitted by hand"), (None, "none known")],
)
def test_a_version_without_gates_says_why(tags, told):
    found = [] if tags is None else [VersionDetails("9", "2026-07-01T00:00:00Z", tags, None)]
    judged = {"9": VersionNights(version="9", nights=1, first_night="", last_night="", scored=0, anomalous=0)}
    (facts,) = gather_versions(Registered(found), [], [], judged, None)
    assert facts.unjudged == told
    assert facts.judged.anomaly_rate is None
