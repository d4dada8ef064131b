"""The ways to another champion: whom the page offers them, and what it gives its script to start them with."""

import re

import pytest
from fastapi.testclient import TestClient

from nightglass.pages.app import create_app
from tests.unit.pages.conftest import People
from tests.unit.pages.models_story import tell_story

PAGE = "/collections/cells/models"


@pytest.fixture
def told(ana, store, home):
    tell_story(store, home)
    return ana


def buttons(html):
    return {
        (kind, version): "disabled" in rest
        for kind, version, rest in re.findall(r'data-ask="([a-z-]+)"(?: data-version="(\d+)")?([^>]*)>', html)
    }


def test_whoever_may_start_the_dags_gets_a_way_back_to_every_earlier_champion(told):
    html = told.get(PAGE).text
    # After 1, 2, a rollback to 1, and 4, the champion before is 1.
    assert buttons(html) == {("retrain", ""): False, ("roll-back", "1"): False, ("roll-back", "2"): False}
    assert "Roll back to version 1…" in html
    assert "needs the right" not in html


def test_each_dag_has_a_right_of_its_own(told, home):
    people = People(starters={"ana": {"retrain_cells", "nightly_cells", "rollback_lids"}})
    client = TestClient(create_app(people.authenticate, lambda _: None), headers=dict(told.headers))
    html = client.get(PAGE).text
    assert buttons(html) == {("retrain", ""): False, ("roll-back", "1"): True, ("roll-back", "2"): True}
    assert "a rollback the right to start <code>rollback_cells</code>" in html
    assert "a retraining needs" not in html


def test_a_reader_sees_the_page_and_may_start_nothing(told):
    told.headers["X-Test-User"] = "olu"
    html = told.get(PAGE).text
    assert all(buttons(html).values())
    assert "<code>retrain_cells</code>" in html
    told.headers["X-Test-User"] = "eve"
    assert told.get(PAGE).status_code == 403


def test_the_script_learns_where_airflows_api_is_and_the_dags_names(told):
    assert 'data-api="/api/v2" data-retrain="retrain_cells" data-roll-back="rollback_cells"' in told.get(PAGE).text
    below = create_app(People().authenticate, lambda _: None, airflow_api="/air/api/v2")
    client = TestClient(below, headers=dict(told.headers))
    assert 'data-api="/air/api/v2"' in client.get(PAGE).text


def test_the_forms_ask_for_a_reason_and_have_the_fields_of_the_dags(told):
    html = told.get(PAGE).text
    dialogs = dict(re.findall(r'<dialog id="([a-z-]+)".*?(<form.*?</form>)', html, re.DOTALL))
    fields = {name: set(re.findall(r'name="(\w+)"', form)) for name, form in dialogs.items()}
    assert fields == {
        "roll-back": {"reason", "rescore"},
        "retrain": {"reason", "since", "until", "use_verdicts", "dry_run"},
    }
    for form in dialogs.values():
        assert re.search(r'<textarea[^>]* maxlength="2000" required>', form)


def test_the_pages_themselves_start_nothing(told):
    for dag in ("retrain", "rollback", "roll-back"):
        for path in (f"{PAGE}/{dag}", f"{PAGE}/1/{dag}", f"/dags/{dag}_cells/dagRuns"):
            answer = told.post(path, json={"reason": "x"}, headers={"X-Nightglass": "1"})
            assert answer.status_code in {404, 405}, path


def test_without_script_the_page_says_how(told):
    html = told.get(PAGE).text
    (hint,) = re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    assert "retrain_cells" in hint
    assert "rollback_cells" in hint
    assert all("hidden" in tag for tag in re.findall(r"<button[^>]*data-ask[^>]*>", html))
