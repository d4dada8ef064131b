"""A shadow whose process is killed in the middle of a step, and that goes on."""

import pytest

from nightglass.errors import InputError
from nightglass.retraining import flow
from tests.integration.retraining_shadow import FIRST, begin_shadow, files_of, publish_night, shadow, want_shadow
from tests.integration.retraining_steps import RUN, conclude, promote
from tests.integration.retraining_story import Begin, Story, folder_of, kill

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("place", ["before the row: shadows", "before the commit: shadows"])
def test_a_shadow_that_was_killed_at_its_first_look_begins_once(begin: Begin, place: str) -> None:
    home, plan = begin("judge_challenger")
    want_shadow(home)
    flow.judge_challenger(plan)
    kill(home, place, "shadow_challenger", plan)
    assert home.query("SELECT * FROM shadows") == []
    assert flow.shadow_challenger(plan) is None
    rows = home.every_row()
    assert flow.shadow_challenger(plan) is None
    assert home.every_row() == rows
    assert home.query("SELECT run, ending FROM shadows") == [(RUN, None)]


@pytest.mark.parametrize(
    "place",
    [
        "while it reads images: 70",
        "before the file: summary.json",
        "before the file: shadow.json",
        "before the file: report.html",
        "before the row: shadow_night_results",
        "before the commit: shadow_night_results",
    ],
)
def test_a_killed_shadow_of_a_night_goes_on(story: Story, begin: Begin, place: str) -> None:
    home, plan = begin_shadow(begin, nights=1)
    night_plan = publish_night(story, home, FIRST)
    published, nights = files_of(home, FIRST), home.query("SELECT * FROM nights")
    kill(home, place, "shadow_night", night_plan)
    assert home.query("SELECT * FROM shadow_nights") == []
    now = files_of(home, FIRST)
    assert {name: now[name] for name in published if name != "report.html"} == {
        name: content for name, content in published.items() if name != "report.html"
    }
    assert flow.shadow_challenger(plan) is None
    assert isinstance(shadow(night_plan), dict)
    assert home.query("SELECT * FROM nights") == nights
    assert "1 of 1 nights seen" in files_of(home, FIRST)["report.html"].decode()
    assert not [name for name in files_of(home, FIRST) if ".shards" in name or ".writing-" in name]
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert judged["passed"]


@pytest.mark.parametrize(
    "place",
    ["before the file: shadow_end.json", "before the file: report.html", "before the file: gates.json"],
)
def test_a_shadow_that_was_killed_at_its_end_comes_to_the_same(story: Story, begin: Begin, place: str) -> None:
    home, plan = begin_shadow(begin, nights=1)
    shadow(publish_night(story, home, FIRST))
    kill(home, place, "shadow_challenger", plan)
    assert home.query("SELECT ending FROM shadows") == [("seen",)]
    with pytest.raises(InputError, match="expected a challenger that shadowed the champion"):
        promote(plan)
    rows = home.every_row()
    judged = flow.shadow_challenger(plan)
    assert judged is not None
    assert home.every_row() == rows
    assert promote(plan).champion.version == "2"
    assert conclude(plan).outcome == "promoted"
    assert home.query("SELECT name, passed FROM gates ORDER BY position DESC LIMIT 1") == [("shadow", 1)]
    assert "Nights beside the champion" in (folder_of(home) / "report.html").read_text()
